package client

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// pointing are two servers. The first sends everybody to the second, but for what it
// has a plan for.
func pointing(t *testing.T) (p *Producer, first, second *memory, here, there string) {
	first, second = newMemory("t", 1), newMemory("t", 1)
	here, _ = serve(t, first, "127.0.0.1:0")
	there, _ = serve(t, second, "127.0.0.1:0")
	c := dial(t, Options{}, here)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Linger: -1, NotIdempotent: true, MayStoreTwice: true, DeliverWithin: time.Second})
	require.NoError(t, err)
	p.lane(0).pause.InitialInterval = time.Hour // whoever pauses is told too late
	return p, first, second, here, there
}

// A batch goes where an answer says that it belongs at once, and so do those that left
// together with it, whatever they were told.
func TestWhereALeaderIsSaidToBeIsGoneToAtOnce(t *testing.T) {
	p, first, second, _, there := pointing(t)
	l := first.topics["t"][0]
	codes := []codec.Code{codec.NotLeader, codec.Unknown, codec.Unavailable}
	l.holding()
	l.plans(func(codec.Batch) error {
		e := codec.Errorf(codes[0], "as planned")
		if codes = codes[1:]; e.Code == codec.NotLeader {
			e.Leader = there
		}
		return e
	})
	for _, value := range []string{"one", "two", "three"} {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: []byte(value)}, nil))
	}
	l.holds(3)
	l.release()
	require.NoError(t, p.Close(t.Context()))
	require.Equal(t, []string{"one", "two", "three"}, second.topics["t"][0].stored(t))
	require.Empty(t, l.stored(t))
}

// Two servers that send a batch to each other are not asked again and again without a pause.
func TestServersThatPointAtEachOther(t *testing.T) {
	p, first, second, here, there := pointing(t)
	var asked atomic.Int64
	plan := func(to string) func(codec.Batch) error {
		return func(codec.Batch) error {
			asked.Add(1)
			e := codec.Errorf(codec.NotLeader, "as planned")
			e.Leader = to
			return e
		}
	}
	first.topics["t"][0].plans(plan(there))
	second.topics["t"][0].plans(plan(here))
	told := make(chan error, 1)
	require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	require.Equal(t, codec.NotLeader, codec.CodeOf(<-told))
	require.EqualValues(t, pointedMax+1, asked.Load())
	_ = p.Close(t.Context())
}
