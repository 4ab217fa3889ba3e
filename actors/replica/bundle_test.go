package replica

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

// leading is the first of three replicas, which leads and is open.
func leading(t *testing.T) (*world, *node) {
	w := newWorld(t, 3)
	n := w.nodes[0]
	n.mind.Campaign()
	w.take(n)
	w.stabilize()
	require.True(t, n.mind.open)
	return w, n
}

// What a bundle that raft refuses had taken is free again: offsets, time, bytes
// in flight and sequences.
func TestARefusedBundleWasNever(t *testing.T) {
	w, n := leading(t)
	require.NoError(t, w.produce(n, batch("before", 2)))
	w.take(n)
	w.stabilize()
	next, time := n.mind.next, n.mind.time
	w.now += 50
	first := producerBatch("s0", 3, 9, 0, 0)
	require.NoError(t, w.produce(n, first))
	require.NoError(t, w.produce(n, first), "the same again shares its answer")
	require.NoError(t, w.produce(n, batch("other", 1)))
	n.mind.node.TransferLeader(2) // raft takes no proposals while it goes on
	var codes []codec.Code
	w.heard = func(_ int, err error) { codes = append(codes, codec.CodeOf(err)) }
	w.take(n)
	require.Equal(t, []codec.Code{codec.Unavailable, codec.Unavailable, codec.Unavailable}, codes)
	require.Equal(t, next, n.mind.next)
	require.Equal(t, time, n.mind.time)
	require.Zero(t, n.mind.InFlight())
	require.Empty(t, n.mind.flights)
	require.Empty(t, w.asked)

	w.net = nil
	for range ElectionTicks { // nobody took over
		n.mind.Tick()
	}
	require.True(t, n.mind.Role().Leader)
	w.now -= 40
	require.NoError(t, w.produce(n, producerBatch("s0", 3, 9, 0, 0)))
	w.take(n)
	w.stabilize()
	require.Equal(t, next+3, n.mind.Next())
	require.Empty(t, w.asked)
}

// A batch that no longer goes into a bundle comes behind it in sequence too:
// when raft refuses the bundle, it is refused.
func TestARefusedBundleLeavesAGap(t *testing.T) {
	for name, fill := range map[string]func(w *world, n *node) (sequence int32){
		"batches": func(w *world, n *node) int32 {
			for i := range int32(bundleBatchesMax) {
				require.NoError(t, w.produce(n, producerBatch("x", 1, 9, 0, 1+i)))
			}
			return 1 + bundleBatchesMax
		},
		"bytes": func(w *world, n *node) int32 {
			require.NoError(t, w.produce(n, producerBatch(strings.Repeat("x", bundleBytesMax), 1, 9, 0, 1)))
			return 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, n := leading(t)
			require.NoError(t, w.produce(n, producerBatch("known", 1, 9, 0, 0)))
			w.take(n)
			w.stabilize()
			sequence := fill(w, n)
			n.mind.node.TransferLeader(2)
			y := producerBatch("y", 1, 9, 0, sequence)
			require.NoError(t, w.produce(n, y))
			w.take(n)
			require.Len(t, w.asked, 1, "that there is a gap is to be confirmed")
			w.stabilize()
			require.Empty(t, w.asked)
			require.True(t, w.never[y.CRC()])
			require.Zero(t, n.mind.InFlight())
		})
	}
}

// One entry is bounded, whatever waits.
func TestABundleIsBounded(t *testing.T) {
	w, n := alone(t)
	sizes := func() (batches []int) {
		w.take(n)
		for _, a := range n.queue {
			for _, e := range a.Entries {
				batches = append(batches, len(e.Payloads))
			}
		}
		w.stabilize()
		return batches
	}
	for range 2*bundleBatchesMax + 1 {
		require.NoError(t, w.produce(n, batch("x", 1)))
	}
	require.Equal(t, []int{bundleBatchesMax, bundleBatchesMax, 1}, sizes())
	half := strings.Repeat("x", bundleBytesMax/2-codec.BatchHeaderBytes)
	for _, v := range []string{half, half, "y", strings.Repeat("z", 2*bundleBytesMax), "y", half} {
		require.NoError(t, w.produce(n, batch(v, 1)))
	}
	require.Equal(t, []int{2, 1, 1, 2}, sizes())
	require.Empty(t, w.asked)
}
