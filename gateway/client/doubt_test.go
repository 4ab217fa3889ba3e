package client

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// still is a connection whose other side may stand still: what it says does not
// come any more, and nothing is refused.
type still struct {
	net.Conn
	stands *atomic.Bool
	gone   chan struct{}
	once   sync.Once
}

func (s *still) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.stands.Load() {
		<-s.gone
		return 0, net.ErrClosed
	}
	return n, err
}

func (s *still) Close() error {
	s.once.Do(func() { close(s.gone) })
	return s.Conn.Close()
}

// standing dials; connections to an address, also those that are open, stand still
// when told to.
func standing(address string, stands *atomic.Bool) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, a string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", a)
		if err != nil || a != address {
			return c, err
		}
		return &still{Conn: c, stands: stands, gone: make(chan struct{})}, nil
	}
}

// twoServers are n1, which leads, and n2, which says so until it leads itself.
func twoServers(t *testing.T) (first, second *memory, here, there string) {
	first, second = newMemory("t", 1), newMemory("t", 1)
	second.node, second.named = "n2", "n1"
	here, _ = serve(t, first, "127.0.0.1:0")
	there, _ = serve(t, second, "127.0.0.1:0")
	second.nodes = []codec.MetadataNode{{Node: "n1", Address: here}, {Node: "n2", Address: there}}
	first.nodes = second.nodes
	return first, second, here, there
}

// A leader that stands still is left as soon as another server says that somebody
// else leads, and not before. The client was given the first address alone.
func TestALeaderThatStandsStillIsLeft(t *testing.T) {
	_, second, here, _ := twoServers(t)
	var stands atomic.Bool
	c := dial(t, Options{Dial: standing(here, &stands)}, here)
	// The two have no log in common: what was sent to the one is new to the other.
	p, err := c.Producer(t.Context(), "t", ProducerOptions{NotIdempotent: true, MayStoreTwice: true})
	require.NoError(t, err)
	told := make(chan error, 10)
	put := func() {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	}
	put()
	require.NoError(t, <-told)
	// What was known of leaders is old: the client came to the one that leads by chance.
	c.mu.Lock()
	c.leaders[codec.TopicPartition{Topic: "t"}] = "n9"
	delete(c.leads, codec.TopicPartition{Topic: "t"})
	c.mu.Unlock()
	stands.Store(true)
	put()
	select {
	case err := <-told:
		t.Fatalf("it was left although it leads: %v", err)
	case <-time.After(3 * doubtAfter * doubtEvery):
	}
	second.name("n2")
	began := time.Now()
	require.NoError(t, <-told)
	require.Less(t, time.Since(began), 5*time.Second, "long before KeepAlive")
	require.Len(t, second.topics["t"][0].stored(t), 1)
	put()
	require.NoError(t, <-told)
	require.NoError(t, p.Close(t.Context()))
}

// A consumer at the end of a log hears nothing, rightly, so the server is asked
// whether it is there, and another one when it does not say.
func TestAConsumerLeavesALeaderThatStandsStill(t *testing.T) {
	_, second, here, there := twoServers(t)
	var stands atomic.Bool
	c := dial(t, Options{Dial: standing(here, &stands)}, here)
	n, err := c.Consumer(t.Context(), "t", ConsumerOptions{})
	require.NoError(t, err)
	defer n.Close()
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = n.Poll(soon)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	stands.Store(true)
	second.name("n2")
	o := dial(t, Options{}, there)
	var w codec.Builder
	w.Append(1, nil, []byte("late"), nil)
	b, err := w.Build(codec.NoCompression)
	require.NoError(t, err)
	require.NoError(t, o.ProduceBatch(t.Context(), codec.TopicPartition{Topic: "t"}, b, func(codec.Produced, error) {}))
	within, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	rs, err := n.Poll(within)
	require.NoError(t, err)
	require.True(t, rs.Next())
	require.Equal(t, "late", string(rs.Record().Value))
}

// Of several that stand still each is left, also when the first that is asked about one
// of them is another of them.
func TestWhoIsAskedMayStandStillAsWell(t *testing.T) {
	first, second, here, there := twoServers(t)
	third := newMemory("t", 1)
	third.node, third.named = "n3", "n1"
	last, _ := serve(t, third, "127.0.0.1:0")
	first.nodes = append(first.nodes, codec.MetadataNode{Node: "n3", Address: last})
	second.nodes, third.nodes = first.nodes, first.nodes
	var stands atomic.Bool
	one, two := standing(here, &stands), standing(there, &stands)
	c := dial(t, Options{Dial: func(ctx context.Context, a string) (net.Conn, error) {
		if a == there {
			return two(ctx, a)
		}
		return one(ctx, a)
	}}, here, there, last)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{NotIdempotent: true, MayStoreTwice: true})
	require.NoError(t, err)
	told := make(chan error, 10)
	put := func() {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	}
	put()
	require.NoError(t, <-told)
	_, err = c.link(t.Context(), []string{there}) // it is used for other things
	require.NoError(t, err)
	stands.Store(true)
	third.name("n3")
	put()
	select {
	case err := <-told:
		require.NoError(t, err)
	case <-time.After(15 * time.Second):
		require.Fail(t, "it waits for KeepAlive, though a third server says who leads")
	}
	require.Len(t, third.topics["t"][0].stored(t), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, p.Close(ctx))
}

// Who leads may have been learned on another way, while a request is still held by the
// server that stands still: that one is left all the same.
func TestWhatASilentServerHoldsIsFreedByWhatIsKnownAlready(t *testing.T) {
	_, second, here, there := twoServers(t)
	var stands atomic.Bool
	c := dial(t, Options{Dial: standing(here, &stands)}, here, there)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{NotIdempotent: true, MayStoreTwice: true})
	require.NoError(t, err)
	told := make(chan error, 2)
	put := func() {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	}
	put()
	require.NoError(t, <-told)
	stands.Store(true)
	put()
	for aloft := 0; aloft < 1; { // it is on its way
		p.lane(0).mu.Lock()
		aloft = p.lane(0).aloft
		p.lane(0).mu.Unlock()
	}
	second.name("n2")
	tp := codec.TopicPartition{Topic: "t"}
	c.mu.Lock()
	c.leaders[tp], c.leads[tp] = "n2", there
	c.mu.Unlock()
	began := time.Now()
	require.NoError(t, <-told)
	require.Less(t, time.Since(began), 10*time.Second, "long before KeepAlive")
	require.NoError(t, p.Close(t.Context()))
}
