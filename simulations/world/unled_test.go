package world

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A broker starts though a partition has lost most of its replicas: what else lives there
// is led, written and read.
func TestABrokerStartsBesideAPartitionWithoutALeader(t *testing.T) {
	c := three(t, 13)
	require.NoError(t, c.createTopic("pair", 1, 2, nil))
	pair := c.logs[2]
	c.write(t, pair)
	var on []*Node
	for _, r := range c.atlas.newest().Topics["pair"].Partitions[0].Replicas {
		for _, n := range c.nodes {
			if n.name == r.Node {
				on = append(on, n)
			}
		}
	}
	require.Len(t, on, 2)
	c.kill(on[1], Kept)
	c.kill(on[0], Kept)
	require.NoError(t, c.w.RunFor(time.Second))
	c.revive(on[0])
	require.NoError(t, c.w.Run(func() bool { return on[0].started }, time.Minute))
	c.write(t, c.logs[0])
	h, err := on[0].Broker.Partition(pair)
	require.NoError(t, err)
	_, err = h.Read(nil, 0, 1000)
	require.NoError(t, err, "what is known to be committed is shown")
	require.Error(t, c.oneMore(pair, 3*time.Second), "nobody leads it")
	c.revive(on[1])
	require.NoError(t, c.w.Run(c.allStarted, time.Minute))
	c.write(t, pair)
}
