package link

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// asked is what a broker's link was asked by services.
type asked struct {
	mu     sync.Mutex
	calls  []*codec.Call
	reply  []func(*codec.Reply)
	forgot int
}

func (a *asked) serve(_ context.Context, _ string, c *codec.Call, reply func(*codec.Reply)) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls, a.reply = append(a.calls, c), append(a.reply, reply)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.forgot++
	}
}

func (a *asked) take() (calls []*codec.Call, reply []func(*codec.Reply), forgot int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls, reply, forgot = a.calls, a.reply, a.forgot
	a.calls, a.reply, a.forgot = nil, nil, 0
	return calls, reply, forgot
}

// host starts a broker that serves services.
func (s *troupe) host(window codec.Window) (*player, *asked) {
	a := &asked{}
	return s.start("n1", func(c *Config) { c.Serve, c.Window = a.serve, window }), a
}

func (s *troupe) attach(name string) (*Line, error) {
	return Caller{Name: name, Life: 7, Dial: s.net.dialFrom(name)}.Attach(s.Context(), addressOf("n1"))
}

func asService() *codec.Greeting {
	return &codec.Greeting{VersionMin: 1, VersionMax: 1, Purpose: codec.PurposeService, Role: codec.RoleService, Cluster: ours, Node: "billing", Life: 9}
}

func aCall(number uint64) *codec.Call {
	return &codec.Call{Cluster: ours, Number: number, TopicPartition: codec.TopicPartition{Topic: "t"}, Kind: codec.CallBounds}
}

func framed(parts [][]byte) []byte {
	p := slices.Concat(parts...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...)
}

// reason reads replies until the one that says why the line is closed.
func (p puppet) reason() (numbers []uint64, why error) {
	p.Helper()
	for {
		size := binary.BigEndian.Uint32(p.want(4))
		if size == codec.LaneHere {
			continue
		}
		r, err := codec.ParseReply(p.want(int(size)))
		require.NoError(p, err)
		if r.Number == 0 {
			return numbers, r.Err()
		}
		numbers = append(numbers, r.Number)
	}
}

var wide = codec.Window{Calls: 8, Bytes: 16 << 20}

// Calls go in as they were sent, replies come out as they are given, in any order; both
// sides stay as long as they hear each other, however little there is to say.
func TestAServiceIsServed(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		n1, a := s.host(wide)
		line, err := s.attach("billing")
		require.NoError(t, err)
		require.Equal(t, wide, line.Window())
		require.Equal(t, ours, line.Peer().Cluster)
		batch := make(codec.Batch, 1<<20)
		got := make(chan *codec.Reply, 10)
		ended := make(chan error, 1)
		go func() {
			for {
				r, err := line.Receive()
				if err != nil {
					ended <- err
					return
				}
				got <- r
			}
		}()
		one, two := aCall(1), aCall(2)
		one.Kind, one.Batch = codec.CallProduce, batch
		require.NoError(t, line.Send([]*codec.Call{one, two}))
		synctest.Wait()
		calls, reply, _ := a.take()
		require.Equal(t, []*codec.Call{one, two}, calls)
		st := n1.Status().Services
		require.Len(t, st, 1)
		require.Equal(t, "billing", st[0].Name)
		require.Equal(t, 2, st[0].UnderWay)
		require.Equal(t, one.Cost()+two.Cost(), st[0].Bytes)

		reply[1](&codec.Reply{HighWatermark: 5})
		require.Equal(t, &codec.Reply{Cluster: ours, Number: 2, HighWatermark: 5}, <-got)
		reply[0](&codec.Reply{Offset: 3})
		reply[0](&codec.Reply{Offset: 4})
		require.Equal(t, codec.Offset(3), (<-got).Offset)
		for range 60 {
			require.NoError(t, line.Send(nil))
			s.pass(HereEvery)
		}
		require.Empty(t, ended)
		require.Empty(t, got, "an answer is given once")
		require.Zero(t, n1.Status().Services[0].Bytes)

		n1.Close()
		require.Equal(t, ErrGoodbye, <-ended)
		line.Close()
	})
}

// A reader gets no more than it has paid for.
func TestAReplyIsNotLargerThanAskedFor(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		_, a := s.host(wide)
		line, err := s.attach("billing")
		require.NoError(t, err)
		defer line.Close()
		read := aCall(1)
		read.Kind, read.Bytes = codec.CallRead, 100
		require.NoError(t, line.Send([]*codec.Call{read}))
		synctest.Wait()
		_, reply, _ := a.take()
		reply[0](&codec.Reply{Batches: make([]byte, 101)})
		r, err := line.Receive()
		require.NoError(t, err)
		require.EqualError(t, r.Err(), "RECORD_TOO_LARGE: 101 bytes are there to be read at once, and 100 were asked for")
		require.Empty(t, r.Batches)
	})
}

// Whatever a service sends but calls within its window closes its line with the reason,
// and nobody is left waiting for it.
func TestWhatAServiceMayNotSend(t *testing.T) {
	foreign := aCall(3)
	foreign.Cluster = theirs
	damaged := framed(aCall(3).Encode())
	damaged[40]++
	batch := codec.Batch(make([]byte, codec.BatchHeaderBytes))
	read := func(n uint64) []byte {
		c := aCall(n)
		c.Kind, c.Bytes = codec.CallRead, 4<<20
		return framed(c.Encode())
	}
	for name, c := range map[string]struct {
		sends []byte
		code  codec.Code
		says  string
	}{
		"a letter of raft":     {framed((&codec.RaftLetter{Cluster: ours, Raft: []byte("m")}).Encode()), codec.Denied, "a letter of kind 1: a service may send calls"},
		"a broker's ask":       {framed([][]byte{(&codec.Ask{Cluster: ours, Command: []byte("do")}).Encode()}), codec.Denied, "kind 2"},
		"an answer":            {framed([][]byte{(&codec.AskAnswer{Cluster: ours}).Encode()}), codec.Denied, "kind 3"},
		"who leads":            {framed([][]byte{(&codec.Leads{Cluster: ours}).Encode()}), codec.Denied, "kind 4"},
		"a parcel":             {framed((&codec.Parcel{Cluster: ours, Batch: batch}).Encode()), codec.Denied, "kind 5"},
		"a receipt":            {framed([][]byte{(&codec.Receipt{Cluster: ours}).Encode()}), codec.Denied, "kind 6"},
		"a look":               {framed([][]byte{(&codec.Look{Cluster: ours}).Encode()}), codec.Denied, "kind 7"},
		"a sight":              {framed([][]byte{(&codec.Sight{Cluster: ours}).Encode()}), codec.Denied, "kind 8"},
		"a reply":              {framed((&codec.Reply{Cluster: ours, Number: 1}).Encode()), codec.Denied, "kind 10"},
		"no letter":            {framed([][]byte{[]byte("hello")}), codec.Malformed, "not of version 1"},
		"a damaged call":       {damaged, codec.Malformed, "CRC-32C"},
		"another cluster's":    {framed(foreign.Encode()), codec.OtherCluster, "this broker is of 01000000-"},
		"a number twice":       {framed(aCall(1).Encode()), codec.Malformed, "call 1 is under way already"},
		"a huge letter":        {binary.BigEndian.AppendUint32(nil, codec.CallBytesMax+1), codec.FrameTooLarge, "at most"},
		"too many bytes":       {slices.Concat(read(3), read(4), read(5), read(6)), codec.Overloaded, "the window is 8 calls and 16777216 bytes"},
		"too many calls":       {slices.Concat(framed(aCall(3).Encode()), framed(aCall(4).Encode()), framed(aCall(5).Encode()), framed(aCall(6).Encode()), framed(aCall(7).Encode()), framed(aCall(8).Encode()), framed(aCall(9).Encode())), codec.Overloaded, "8 calls that cost"},
		"a call and a quarrel": {slices.Concat(framed(aCall(3).Encode()), framed((&codec.RaftLetter{Cluster: ours}).Encode())), codec.Denied, "kind 1"},
	} {
		play(t, func(t *testing.T, s *troupe) {
			n1, a := s.host(wide)
			p, err := s.dial(addressOf("n1"), asService())
			require.NoError(t, err)
			p.put(slices.Concat(framed(aCall(1).Encode()), framed(aCall(2).Encode())))
			synctest.Wait()
			go func() { _, _ = p.Write(c.sends) }() // nobody need read it to the end
			_, why := p.reason()
			require.Equal(t, c.code, codec.CodeOf(why), "%s: %v", name, why)
			require.ErrorContains(t, why, c.says, name)
			s.pass(2 * time.Second)
			require.Empty(t, n1.Status().Services, name)
			calls, reply, forgot := a.take()
			require.Equal(t, len(calls), forgot, "%s: each call that came is forgotten", name)
			for _, r := range reply {
				r(&codec.Reply{}) // it is late, and goes nowhere
			}
			r := n1.Status().Refusals
			require.Len(t, r, 1)
			require.Equal(t, "puppet (billing)", r[0].Who)
			require.Equal(t, c.code, r[0].Code)
			p.Close()
		})
	}
}

// Of all kinds of letters, those to come among them, a service may send one.
func TestOneKindOfLetterIsAServices(t *testing.T) {
	l := &Link{config: Config{Window: wide}}
	for kind := range 256 {
		d := newDesk(l, &conn{peer: Peer{Cluster: ours}})
		p := slices.Concat(aCall(1).Encode()...)
		p[0] = byte(kind)
		_, no := d.admit(p)
		if codec.LetterKind(kind) == codec.LetterCall {
			require.Nil(t, no)
			continue
		}
		require.NotNil(t, no)
		require.Equal(t, codec.Denied, no.Code, kind)
		require.Empty(t, d.open)
	}
}

// A service that reads no answers comes to the end of its window, and is sent away
// after a while; until then a broker keeps no more for it than the window.
func TestAServiceThatReadsNothing(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		n1, a := s.host(wide)
		p, err := s.dial(addressOf("n1"), asService())
		require.NoError(t, err)
		defer p.Close()
		for n := range uint64(3) {
			c := aCall(1 + n)
			c.Kind, c.Bytes = codec.CallRead, 4<<20
			p.put(framed(c.Encode()))
		}
		p.want(4) // that it is there
		synctest.Wait()
		_, reply, _ := a.take()
		require.Len(t, reply, 3)
		for _, r := range reply {
			r(&codec.Reply{Batches: make([]byte, 4<<20)})
		}
		s.pass(deadAfter / 2)
		st := n1.Status().Services
		require.Len(t, st, 1)
		require.Equal(t, 2, st[0].UnderWay, "one is being written, and is not counted any more")
		for range 2 { // it does say that it is there
			p.put([]byte{0, 0, 0, 0})
			s.pass(deadAfter / 3)
		}
		require.Empty(t, n1.Status().Services)
		require.Contains(t, n1.Status().Refusals[0].Message, "has not read its answers for 15s")
	})
}

// A service of which nothing is heard is given up, and so is a broker.
func TestSilenceEndsALine(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		n1, a := s.host(wide)
		line, err := s.attach("billing")
		require.NoError(t, err)
		require.NoError(t, line.Send([]*codec.Call{aCall(1)}))
		s.net.set(func() { s.net.cut[[2]string{"billing", "n1"}], s.net.cut[[2]string{"n1", "billing"}] = true, true })
		for range 15 {
			require.NoError(t, line.Send(nil), "it leaves, and arrives nowhere")
			s.pass(HereEvery)
		}
		s.pass(HereEvery)
		require.Empty(t, n1.Status().Services)
		_, _, forgot := a.take()
		require.Equal(t, 1, forgot)
		_, err = line.Receive()
		require.Error(t, err)
		line.Close()
	})
}

// There are places for so many, and a broker that has none for services says so.
func TestPlacesForServices(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		n1, _ := s.host(wide)
		var lines []*Line
		for range servicesMax {
			line, err := s.attach("billing")
			require.NoError(t, err)
			lines = append(lines, line)
		}
		_, err := s.attach("one more")
		require.EqualError(t, err, "OVERLOADED: 64 services are attached: at most 64 may be")
		for _, l := range lines {
			l.Close()
		}
		s.pass(time.Second)
		require.Empty(t, n1.Status().Services)
		last, err := s.attach("one more")
		require.NoError(t, err)
		last.Close()
		s.start("n2", nil)
		_, err = Caller{Name: "x", Dial: s.net.dialFrom("x")}.Attach(t.Context(), addressOf("n2"))
		require.EqualError(t, err, `OP_UNKNOWN: node "n2" serves no services`)
		_, err = Caller{Name: "x", Cluster: theirs, Dial: s.net.dialFrom("x")}.Attach(t.Context(), addressOf("n1"))
		require.ErrorIs(t, err, codec.E(codec.OtherCluster))
	})
}

// FuzzServiceLine feeds a broker's side what a service might send: it ends, or goes on,
// and never holds more than the window.
func FuzzServiceLine(f *testing.F) {
	f.Add(slices.Concat(framed(aCall(1).Encode()), []byte{0, 0, 0, 0}, framed(aCall(2).Encode())))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	l := &Link{config: Config{Window: wide}}
	f.Fuzz(func(t *testing.T, p []byte) {
		c := &conn{peer: Peer{Cluster: ours}}
		d := newDesk(l, c)
		for len(p) > 4 {
			n := min(len(p)-4, int(binary.BigEndian.Uint32(p)))
			if n < 0 {
				return
			}
			s, no := d.admit(slices.Clone(p[4 : 4+n]))
			require.True(t, (s == nil) == (no != nil))
			require.LessOrEqual(t, d.bytes, wide.Bytes)
			require.LessOrEqual(t, len(d.open), wide.Calls)
			if no != nil {
				return
			}
			p = p[4+n:]
		}
	})
}
