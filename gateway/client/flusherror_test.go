package client

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// A Flush that finds nothing left to wait for knows of every error: one that
// comes a moment later would be told by the next Flush, or by none.
func TestNoErrorComesBehindAFlush(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].refuse = codec.Errorf(codec.RecordTooLarge, "as planned")
	addr, _ := serve(t, m, "127.0.0.1:0")
	p, err := dial(t, Options{}, addr).Producer(t.Context(), "t", ProducerOptions{Linger: -1})
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, nil))
		var first error
		for marks, left := p.marks(), 1; left > 0; {
			p.mu.Lock()
			left, first = p.records(marks), p.first
			p.mu.Unlock()
		}
		require.ErrorIs(t, first, codec.E(codec.RecordTooLarge))
		require.ErrorIs(t, p.Flush(t.Context()), codec.E(codec.RecordTooLarge))
	}
	require.NoError(t, p.Close(t.Context()))
}

// Flushes that go on at the same time all tell what was refused: one that said
// nil would speak for records that are not stored.
func TestFlushesAtTheSameTimeAllTellTheError(t *testing.T) {
	m := newMemory("t", 1)
	l := m.topics["t"][0]
	l.refuse = codec.Errorf(codec.RecordTooLarge, "as planned")
	addr, _ := serve(t, m, "127.0.0.1:0")
	p, err := dial(t, Options{}, addr).Producer(t.Context(), "t", ProducerOptions{})
	require.NoError(t, err)
	l.mu.Lock() // the broker says nothing yet
	require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, nil))
	told := make(chan error)
	for range 3 {
		go func() { told <- p.Flush(t.Context()) }()
	}
	for p.waiting.Load() < 3 {
		runtime.Gosched()
	}
	l.mu.Unlock()
	for range 3 {
		require.ErrorIs(t, <-told, codec.E(codec.RecordTooLarge))
	}
	require.NoError(t, p.Flush(t.Context()))
	require.NoError(t, p.Close(t.Context()))
}
