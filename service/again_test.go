package service

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// A system is attached to a cluster once at a time: its PIDs have one way. After a Close
// it is attached again, and its PIDs, not those of before, go by the new line.
func TestASystemIsAttachedAgain(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	c := Config{Name: "billing", Brokers: []string{s.address}}
	p := attach(t, c)
	_, err := Attach(t.Context(), p.system, c)
	require.ErrorIs(t, err, codec.E(codec.InvalidArgument), "what is sent would go by the first")
	require.ErrorContains(t, err, "close that first")
	until(t, "the second line to end", func() bool { return len(s.Status().Services) == 1 })

	old := p.Partition("bookings", 0)
	p.Close()
	for range 3 {
		again, err := Attach(t.Context(), p.system, c)
		require.NoError(t, err)
		asked := p.system.Root.RequestFuture(again.Partition("bookings", 0), &codec.AskBounds{Tag: 7}, within)
		wait(t, s.calls, "a call")
		wait(t, s.replies, "a way back")(&codec.Reply{HighWatermark: 5})
		require.Equal(t, &codec.Bounds{Tag: 7, HighWatermark: 5}, answer[*codec.Bounds](t, asked))
		again.Close()
		for _, pid := range []*actor.PID{old, again.Partition("bookings", 0)} {
			f := p.system.Root.RequestFuture(pid, &codec.AskBounds{}, within)
			require.ErrorIs(t, answer[*codec.Bounds](t, f).Err, codec.E(codec.Stopping))
		}
	}
	require.Len(t, p.system.ProcessRegistry.RemoteHandlers, 1, "nothing stays of those that were closed")
}
