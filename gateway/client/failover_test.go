package client

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// silentFirst dials, but for an address that says nothing at all.
func silentFirst(silent string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		if address == silent {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

// A first server that is dead in the worst way, without a word, costs a tenth
// of the dial timeout.
func TestADeadFirstServerCostsLittle(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	began := time.Now()
	c := dial(t, Options{DialTimeout: 5 * time.Second, Dial: silentFirst("192.0.2.1:9650")}, "192.0.2.1:9650", addr)
	require.NoError(t, c.Ping(t.Context()))
	require.Less(t, time.Since(began), 2*time.Second)
}

// A producer outlives its server: what was acknowledged is stored once, what
// was in flight is UNKNOWN, what came later goes to the next server.
func TestAProducerGoesOnAtTheNextServer(t *testing.T) {
	first, second := newMemory("t", 2), newMemory("t", 2)
	a, cut := serve(t, first, "127.0.0.1:0")
	b, _ := serve(t, second, "127.0.0.1:0")
	c := dial(t, Options{}, a, b)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{})
	require.NoError(t, err)
	put := func(value string) error {
		told := make(chan error, 1)
		require.NoError(t, p.ProduceTo(t.Context(), 1, codec.Record{Value: []byte(value)}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
		return <-told
	}
	require.NoError(t, put("one"))
	l := first.topics["t"][1]
	l.mu.Lock()
	l.hold = true
	l.mu.Unlock()
	go func() { l.holds(1); cut() }()
	require.ErrorIs(t, put("two"), codec.E(codec.Unknown))
	require.NoError(t, put("three"))
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.Unknown), "the first error since the last Flush")
	require.Equal(t, []string{"one"}, l.stored(t))
	require.Equal(t, []string{"three"}, second.topics["t"][1].stored(t))
}

// connected says whether a link is open.
func (c *Client) connected() bool {
	l, _ := c.open(tp0)
	return l != nil
}

// A server that is away for a while is waited for.
func TestAProducerWaitsForItsServer(t *testing.T) {
	m := newMemory("t", 1)
	addr, cut := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{})
	require.NoError(t, err)
	cut()
	for c.connected() { // until the client knows
		runtime.Gosched()
	}
	for range 10 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, nil))
	}
	for !p.lane(0).poor.Load() { // until it has tried and failed
		runtime.Gosched()
	}
	serve(t, m, addr)
	require.NoError(t, p.Close(t.Context()))
	require.Len(t, m.topics["t"][0].stored(t), 10)
}

// Leaders that metadata names are gone to, without being sent there first.
func TestNotLeaderMovesAProducer(t *testing.T) {
	second := newMemory("t", 1)
	there, _ := serve(t, second, "127.0.0.1:0")
	first := newMemory("t", 1)
	addr, _ := serve(t, first, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{})
	require.NoError(t, err)
	first.mu.Lock()
	first.leader = there
	first.mu.Unlock()
	for range 5 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, nil))
	}
	require.NoError(t, p.Close(t.Context()))
	require.Len(t, second.topics["t"][0].stored(t), 5)
	require.Empty(t, first.topics["t"][0].stored(t))
}

// While a ready batch has no answer, those behind it in its partition go the same
// way, whoever is said to lead by then: by another they could overtake it.
func TestReadyBatchesKeepToOneWay(t *testing.T) {
	first, second := newMemory("t", 1), newMemory("t", 1)
	here, _ := serve(t, first, "127.0.0.1:0")
	there, _ := serve(t, second, "127.0.0.1:0")
	c := dial(t, Options{}, here)
	tp := codec.TopicPartition{Topic: "t"}
	told := make(chan error, 3)
	put := func(value string) {
		var w codec.Builder
		w.Append(1, nil, []byte(value), nil)
		b, err := w.Build(codec.NoCompression)
		require.NoError(t, err)
		require.NoError(t, c.ProduceBatch(t.Context(), tp, b, func(_ codec.Produced, err error) { told <- err }))
	}
	l := first.topics["t"][0]
	l.mu.Lock()
	l.hold = true
	l.mu.Unlock()
	put("one")
	l.holds(1)
	c.learn(tp, there)
	put("two")
	l.holds(2)
	l.release()
	require.NoError(t, <-told)
	require.NoError(t, <-told)
	put("three")
	require.NoError(t, <-told)
	require.Equal(t, []string{"three"}, second.topics["t"][0].stored(t))
}
