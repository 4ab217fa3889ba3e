package link

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestLettersArrive(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2", "n3")
		for i := range 100 {
			list[0].say("n2", fmt.Sprintf("small %d", i))
			list[0].Send("n2", [][]byte{fmt.Appendf(nil, "bulk %d ", i), bytes.Repeat([]byte{'x'}, i)})
		}
		list[1].say("n3", "hello")
		list[2].say("n1", "hello")
		list[0].say("n4", "nobody")
		list[0].Send("n2", [][]byte{{}})
		s.pass(time.Millisecond)
		var small, bulk []string
		for _, h := range list[1].hears() {
			if strings.HasPrefix(h, "n1: small") {
				small = append(small, h)
			} else {
				bulk = append(bulk, h)
			}
		}
		require.Len(t, small, 100)
		require.Len(t, bulk, 100)
		for i := range 100 {
			require.Equal(t, fmt.Sprintf("n1: small %d", i), small[i], "a lane keeps its order")
			require.Equal(t, fmt.Sprintf("n1: bulk %d %s", i, strings.Repeat("x", i)), bulk[i])
		}
		require.Equal(t, []string{"n2: hello"}, list[2].hears())
		require.Equal(t, []string{"n3: hello"}, list[0].hears())

		here, there := list[0].peer("n2"), list[1].peer("n1")
		require.Equal(t, Up, here.Control.State)
		require.Equal(t, Up, here.Bulk.State)
		require.EqualValues(t, 100, here.Control.Sent.Letters)
		require.Equal(t, here.Control.Sent, there.Control.Got)
		require.Equal(t, here.Bulk.Sent, there.Bulk.Got)
		require.Zero(t, here.Control.QueuedBytes+here.Bulk.QueuedBytes)
		require.EqualValues(t, 1, list[0].Status().Nowhere)
	})
}

// Lanes that have nothing to say stay open for hours, and both sides know.
func TestIdleLanesStay(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		for range 60 {
			s.pass(time.Minute)
			for _, lane := range []LaneStatus{list[0].peer("n2").Control, list[0].peer("n2").Bulk, list[1].peer("n1").Bulk} {
				require.Equal(t, Up, lane.State)
				require.Less(t, lane.Heard, 2*time.Second)
				require.Zero(t, lane.Reconnections)
			}
		}
		require.Empty(t, list[0].loses())
	})
}

// An address that changes while it is dialled is not stayed at.
func TestAMoveWhileDialling(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		two := s.start("n2", nil)
		slow := make(chan struct{})
		one := s.start("n1", func(c *Config) {
			dial := c.Dial
			c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
				if address == "old:1" {
					<-slow
					address = addressOf("n2")
				}
				return dial(ctx, address)
			}
		})
		one.SetPeers(map[codec.NodeID]string{"n2": "old:1"})
		s.pass(time.Second)
		one.SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		close(slow)
		s.pass(time.Second)
		require.Equal(t, 4, s.net.dialled(addressOf("n2")), "each lane left the old one")
		one.say("n2", "hello")
		s.pass(time.Millisecond)
		require.Len(t, two.hears(), 1)
	})
}

func TestPeersComeGoAndMove(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		list[0].SetPeers(nil)
		s.pass(time.Second)
		list[0].say("n2", "you are no peer")
		list[1].say("n1", "and you are one")
		s.pass(time.Second)
		require.Empty(t, list[1].hears())
		require.Equal(t, []string{"n2: and you are one"}, list[0].hears(), "who dials is heard")
		require.Empty(t, list[0].loses())
		require.Empty(t, list[1].loses(), "to be no peer any more is no end")

		// n2 is reached by another address; the first one is cut off.
		gate := s.net.listen("n2:7")
		go func() {
			for {
				c, err := gate.Accept()
				if err != nil {
					return
				}
				list[1].config.Listener.(*memoryListener).backlog <- c
			}
		}()
		defer gate.Close()
		list[0].SetPeers(map[codec.NodeID]string{"n2": "n2:8"})
		s.pass(time.Second)
		list[0].SetPeers(map[codec.NodeID]string{"n2": "n2:7"})
		s.pass(2 * time.Second)
		require.Equal(t, Up, list[0].peer("n2").Bulk.State)
		require.Equal(t, "n2:7", list[0].peer("n2").Address)
		list[0].SetPeers(map[codec.NodeID]string{"n2": addressOf("n2")})
		s.pass(time.Second)
		require.EqualValues(t, 1, list[0].peer("n2").Bulk.Reconnections)
		list[0].say("n2", "here again")
		s.pass(time.Millisecond)
		require.Equal(t, []string{"n1: here again"}, list[1].hears())
		require.Empty(t, list[0].loses())
		require.Empty(t, list[1].loses())
	})
}

// A peer that reads nothing holds no more memory than its queue may, on either
// lane, and is seen as silent; other peers do not notice.
func TestAPeerThatReadsNothing(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", func(c *Config) { c.ControlBytes, c.BulkBytes = 10_000, 100_000 })
		other := s.start("n3", nil)
		l := s.net.listen("n2:9651")
		one.SetPeers(map[codec.NodeID]string{"n2": "n2:9651", "n3": addressOf("n3")})
		var puppets []puppet
		for range 2 {
			puppets = append(puppets, s.accept(l, Self{Cluster: ours, Node: "n2", Address: "n2:9651"}, 7))
			puppets[len(puppets)-1].want(4) // so that letters are what is not taken
		}
		s.pass(time.Millisecond)
		for range 1000 {
			one.Send("n2", [][]byte{make([]byte, 1000)})
			one.Send("n2", [][]byte{make([]byte, 5000), make([]byte, 5000)})
			one.say("n3", "quick")
		}
		s.pass(4 * time.Second)
		p := one.peer("n2")
		require.Equal(t, Silent, p.Control.State)
		require.EqualValues(t, 10, p.Control.QueuedBytes/1000)
		require.EqualValues(t, 990, p.Control.Lost.Letters)
		require.EqualValues(t, 100_000, p.Bulk.QueuedBytes)
		require.EqualValues(t, 990, p.Bulk.Lost.Letters)
		require.Len(t, other.hears(), 1000)
		s.pass(deadAfter)
		require.NotEqual(t, Silent, one.peer("n2").Control.State)
		for _, p := range puppets {
			p.Close()
		}
		l.Close()
		s.pass(5 * time.Second)
		require.Zero(t, one.peer("n2").Bulk.QueuedBytes, "nobody answers: nothing waits")
		require.EqualValues(t, 1000, one.peer("n2").Bulk.Lost.Letters)
		require.Equal(t, []codec.NodeID{"n2"}, one.loses())
	})
}

// Close does not wait for a peer that reads nothing.
func TestCloseIsBounded(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", nil)
		l := s.net.listen("n2:9651")
		defer l.Close()
		s.net.set(func() { s.net.holes["n3:1"] = true })
		one.SetPeers(map[codec.NodeID]string{"n2": "n2:9651", "n3": "n3:1"})
		for range 2 {
			defer s.accept(l, Self{Cluster: ours, Node: "n2"}, 7).Close()
		}
		for range 2 { // and two that stop in the midst of a greeting
			c, err := s.net.dialFrom("x")(t.Context(), addressOf("n1"))
			require.NoError(t, err)
			defer c.Close()
		}
		s.pass(time.Millisecond)
		one.Send("n2", [][]byte{make([]byte, 100_000)})
		began := time.Now()
		one.Close()
		one.Close()
		require.LessOrEqual(t, time.Since(began), closeWithin)
	})
}

// What is wrong with a stream ends its connection and nothing else.
func TestGarbageEndsItsConnectionOnly(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", func(c *Config) { c.LetterBytes = 1000 })
		greeting := Self{Cluster: ours, Node: "n2", Address: "n2:9651"}.greeting(7, codec.PurposeControl, "n1")
		for name, c := range map[string]struct {
			say   []byte
			heard []string
			notes codec.Code
		}{
			"a letter above the limit":  {[]byte{0, 0, 0, 2, 'o', 'k', 0, 0, 0x10, 0}, []string{"n2: ok"}, codec.FrameTooLarge},
			"a length that lies":        {[]byte{0x7f, 0xff, 0xff, 0xff}, nil, codec.FrameTooLarge},
			"half a letter":             {[]byte{0, 0, 0, 2, 'o', 'k', 0, 0, 0, 9, 'x'}, []string{"n2: ok"}, 0},
			"half a length":             {[]byte{0, 0, 0}, nil, 0},
			"words and letters in turn": {[]byte{0, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 1, 'b'}, []string{"n2: a", "n2: b"}, 0},
		} {
			p, err := s.dial(addressOf("n1"), greeting)
			require.NoError(t, err, name)
			go p.Write(c.say)
			p.want(4) // it is here
			s.pass(time.Millisecond)
			p.Close()
			s.pass(time.Millisecond)
			require.Equal(t, c.heard, one.hears(), name)
			if c.notes != 0 {
				all := one.Status().Refusals
				require.Len(t, all, 1, name)
				require.Equal(t, c.notes, all[0].Code, name)
				require.Equal(t, "puppet (n2)", all[0].Who)
			}
			require.Empty(t, one.Status().Peers, "nothing is left of it")
		}
		require.Empty(t, one.loses(), "it is no peer that is dialled")

		// Against the direction of a lane only words are said.
		l := s.net.listen("n3:9651")
		one.SetPeers(map[codec.NodeID]string{"n3": "n3:9651"})
		p := s.accept(l, Self{Cluster: ours, Node: "n3"}, 7)
		q := s.accept(l, Self{Cluster: ours, Node: "n3"}, 7)
		go func() { p.Write([]byte{0, 0, 0, 5}) }()
		go func() { q.Write([]byte{0, 0, 0, 5}) }()
		s.pass(time.Millisecond)
		require.Contains(t, one.peer("n3").Control.Trouble, "MALFORMED")
		p.Close()
		q.Close()
		l.Close()
		s.pass(2 * time.Second)
	})
}

func TestALetterAboveTheLimitIsNotSent(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		list := s.all("n1", "n2")
		list[0].Send("n2", [][]byte{make([]byte, 64<<20+1)})
		list[0].Send("n2", [][]byte{make([]byte, 33<<20)}) // above what the queue holds, and alone
		list[0].say("n2", "on it goes")
		s.pass(time.Second)
		require.Len(t, list[1].hears(), 2)
		require.EqualValues(t, 1, list[0].peer("n2").Bulk.Lost.Letters)
		require.Equal(t, Up, list[0].peer("n2").Bulk.State)
	})
}

// A greeting has five seconds; of one that does not come nothing is kept.
func TestHalfAGreetingIsNotWaitedFor(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", nil)
		for _, says := range []string{"", "TR", codec.LinkMagic, codec.LinkMagic + "\x00\x00\x40\x00", codec.LinkMagic + "\x00\x00\x00\x09half"} {
			c, err := s.net.dialFrom("stranger")(t.Context(), addressOf("n1"))
			require.NoError(t, err)
			defer c.Close()
			if says != "" {
				puppet{t, c}.put([]byte(says))
			}
		}
		s.pass(greetWithin - time.Millisecond)
		require.Equal(t, 5, one.Status().Strangers)
		s.pass(time.Second)
		require.Zero(t, one.Status().Strangers)
		require.EqualValues(t, 5, one.Status().Unheard)
	})
}

// Strangers who wait make room for others, in all and of one address; whoever
// greets is through before that.
func TestStrangersAreBounded(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		one := s.start("n1", nil)
		var all []net.Conn
		for i := range 1000 {
			c, err := s.net.dialFrom(fmt.Sprintf("10.0.0.%d", i%16))(t.Context(), addressOf("n1"))
			require.NoError(t, err)
			all = append(all, c)
			if i%50 == 0 {
				s.pass(0)
			}
		}
		s.pass(0)
		require.Equal(t, strangersMax, one.Status().Strangers)
		require.EqualValues(t, 1000-strangersMax, one.Status().Pushed)
		two := s.start("n2", nil)
		two.SetPeers(map[codec.NodeID]string{"n1": addressOf("n1")})
		s.pass(10 * time.Millisecond)
		require.Equal(t, Up, two.peer("n1").Control.State)

		for range 100 {
			c, err := s.net.dialFrom("10.0.1.1")(t.Context(), addressOf("n1"))
			require.NoError(t, err)
			all = append(all, c)
		}
		s.pass(0)
		one.entrance.mu.Lock()
		of := map[string]int{}
		for _, w := range one.entrance.waiting {
			of[w.address]++
		}
		one.entrance.mu.Unlock()
		require.Equal(t, strangersOfMax, of["10.0.1.1"])
		for _, c := range all {
			c.Close()
		}
		s.pass(0)
	})
}
