package client

import (
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
