package link

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

var ours, theirs = codec.UUID{1}, codec.UUID{2}

// troupe is brokers' links on one network in memory and virtual time.
type troupe struct {
	*testing.T
	net     *memory
	players map[codec.NodeID]*player
}

// player is one life of a node's link, and what it was told.
type player struct {
	*Link
	host string

	mu     sync.Mutex
	heard  []string // from: letter
	lost   []codec.NodeID
	events []string
}

// play runs a test in a bubble.
func play(t *testing.T, do func(*testing.T, *troupe)) {
	synctest.Test(t, func(t *testing.T) {
		s := &troupe{t, newMemory(), map[codec.NodeID]*player{}}
		defer func() {
			for _, p := range s.players {
				p.Close()
			}
		}()
		do(t, s)
	})
}

func addressOf(n codec.NodeID) string { return string(n) + ":9651" }

// start begins a life of a node. change may be nil.
func (s *troupe) start(n codec.NodeID, change func(*Config)) *player {
	s.Helper()
	s.net.set(func() { delete(s.net.dead, string(n)) })
	p := &player{host: string(n)}
	c := Config{
		Self: Self{Cluster: ours, Node: n, Disk: codec.UUID{9, 15: n[len(n)-1]}, Address: addressOf(n)},
		Hear: func(from codec.NodeID, letter []byte) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.heard = append(p.heard, fmt.Sprintf("%s: %s", from, letter))
		},
		Lost: func(node codec.NodeID) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.lost = append(p.lost, node)
		},
		Log: func(event string, fields ...any) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, fmt.Sprint(append([]any{event}, fields...)...))
		},
	}
	c.Listener, c.Dial = s.net.listen(addressOf(n)), s.net.dialFrom(string(n))
	if change != nil {
		change(&c)
	}
	p.Link = New(c)
	s.players[n] = p
	return p
}

// all starts nodes and has each know the others.
func (s *troupe) all(names ...codec.NodeID) (list []*player) {
	s.Helper()
	peers := map[codec.NodeID]string{}
	for _, n := range names {
		list = append(list, s.start(n, nil))
		peers[n] = addressOf(n)
	}
	for _, p := range list {
		p.SetPeers(peers)
	}
	s.pass(100 * time.Millisecond)
	return list
}

// kill ends a node's process.
func (s *troupe) kill(n codec.NodeID) {
	s.net.kill(string(n))
	s.players[n].Close()
	delete(s.players, n)
}

// pass lets time pass, and everything that happens in it.
func (s *troupe) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (p *player) say(to codec.NodeID, letter string) { p.Send(to, [][]byte{[]byte(letter)}) }

func (p *player) hears() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.heard
	p.heard = nil
	return all
}

func (p *player) loses() []codec.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.lost
	p.lost = nil
	return all
}

func (p *player) logged() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.events
	p.events = nil
	return all
}

// peer is what a link says of another node.
func (p *player) peer(n codec.NodeID) PeerStatus {
	for _, s := range p.Status().Peers {
		if s.Node == n {
			return s
		}
	}
	return PeerStatus{}
}

// puppet is a peer that a test speaks for, byte by byte.
type puppet struct {
	*testing.T
	net.Conn
}

// accept takes a connection that a link has dialled, and greets it.
func (s *troupe) accept(l net.Listener, as Self, life uint64) puppet {
	s.Helper()
	c, err := l.Accept()
	require.NoError(s, err)
	p := puppet{s.T, c}
	p.want(len(codec.LinkMagic))
	frame, err := codec.NewFrameReader(c, codec.GreetingFrameMax).Read(nil)
	require.NoError(s, err)
	g, err := codec.ParseGreeting(frame)
	require.NoError(s, err)
	p.put(codec.EncodeAccepted(as.greeting(life, g.Purpose, g.Node)).Bytes())
	return p
}

// dial opens a connection to a link and greets it; the answer is an error when
// it is a refusal.
func (s *troupe) dial(address string, g *codec.Greeting) (puppet, error) {
	s.Helper()
	c, err := s.net.dialFrom("puppet")(s.Context(), address)
	require.NoError(s, err)
	p := puppet{s.T, c}
	p.put(append([]byte(codec.LinkMagic), codec.EncodeGreeting(g).Bytes()...))
	frame, err := codec.NewFrameReader(c, codec.GreetingFrameMax).Read(nil)
	require.NoError(s, err)
	_, err = codec.ParseGreeted(frame)
	return p, err
}

func (p puppet) put(b []byte) {
	p.Helper()
	_, err := p.Write(b)
	require.NoError(p, err)
}

func (p puppet) want(n int) []byte {
	p.Helper()
	b := make([]byte, n)
	for at := 0; at < n; {
		k, err := p.Read(b[at:])
		require.NoError(p, err)
		at += k
	}
	return b
}
