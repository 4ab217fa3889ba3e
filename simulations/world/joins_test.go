package world

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// growing is a cluster of one node that others may join.
func growing(t *testing.T, seed uint64) *Cluster {
	w := New(seed, worldBegins)
	t.Cleanup(w.Close)
	c, err := newCluster(w, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.close()) })
	require.NoError(t, c.found())
	return c
}

// joined has a node join, and waits until it has.
func (c *Cluster) joined(t *testing.T, name codec.NodeID) *newcomer {
	j, err := c.join(name, "")
	require.NoError(t, err)
	require.NoError(t, c.run(func() bool { return j.node.started || j.node.failure != nil || j.refused != nil }, time.Minute))
	require.NoError(t, j.node.failure)
	require.NoError(t, j.refused)
	return j
}

// A node joins a cluster of one: it learns the metadata, registers, and topics may be
// placed there. It starts again as what it is.
func TestNodesJoin(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := growing(t, seed)
			require.NoError(t, c.createTopic("before", 2, 1, nil))
			a, b := c.joined(t, "n2"), c.joined(t, "n3")
			s := c.atlas.newest()
			require.Len(t, s.Metadata, 3)
			require.Equal(t, "link of n2", s.Nodes["n2"].Link)
			require.Equal(t, s.MetadataOn("n3"), b.replica)
			require.NoError(t, c.createTopic("t", 3, 3, nil))
			for _, log := range c.logs {
				c.write(t, log)
			}
			c.kill(a.node, c.mode(""))
			c.revive(a.node)
			require.NoError(t, c.run(c.allStarted, time.Minute))
			require.NoError(t, c.settle(settleWithin))
		})
	}
}
