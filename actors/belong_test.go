package actors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// Of two processes on copies of one directory the one that registered first ends; one
// that was removed ends; what an older state or its own registration says twice ends
// nobody.
func TestABrokerThatIsNoneAnyMoreEnds(t *testing.T) {
	b := startBroker(t, t.TempDir())
	defer closeBroker(t, b)
	me := b.published.Load().Nodes[b.house.node]
	disk := b.house.disk
	for says, law := range map[string]struct {
		node    cluster.Node
		removed bool
	}{
		"":                {node: me},
		"another process": {node: cluster.Node{Name: me.Name, Disk: disk, Epoch: me.Epoch + 1, Run: me.Run + 1}},
		"was removed":     {node: cluster.Node{}, removed: true},
	} {
		s := *b.published.Load()
		s.Nodes = map[codec.NodeID]cluster.Node{me.Name: law.node}
		if law.removed {
			s.Nodes, s.Removed = map[codec.NodeID]cluster.Node{}, map[codec.UUID]codec.NodeID{disk: me.Name}
		}
		var told error
		k := &keeper{house: b.house, meta: b.meta, published: &b.published, registered: true, epoch: me.Epoch, run: me.Run, started: func(err error) { told = err }}
		before := b.published.Swap(&s)
		k.fenced()
		b.published.Store(before)
		if says == "" {
			require.NoError(t, told)
			continue
		}
		require.Equal(t, codec.Denied, codec.CodeOf(told))
		require.ErrorContains(t, told, says)
	}
}
