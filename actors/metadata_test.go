package actors

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// A metadata log that is opened again, after a full disk say, is gone over from
// its last snapshot. Callers must not see the topics of then meanwhile.
func TestPublishedMetadataDoesNotGoBack(t *testing.T) {
	h := newHouse(Config{})
	var published atomic.Pointer[cluster.State]
	commands := [][]byte{
		cluster.Command{Do: cluster.FoundCluster{Cluster: codec.UUID{1}, Node: "n1"}}.Encode(),
		cluster.Command{Do: cluster.CreateTopic{Name: "t", ID: codec.UUID{2}, Partitions: 1}}.Encode(),
		cluster.Command{Do: cluster.CreateTopic{Name: "u", ID: codec.UUID{3}, Partitions: 1}}.Encode(),
	}
	play := func(m *metadata, n int) {
		for i, c := range commands[:n] {
			m.apply(codec.Index(i+2), c)
		}
		m.settled()
	}
	play(&metadata{house: h, state: cluster.NewState(), published: &published}, 3)
	require.Len(t, published.Load().Topics, 2)
	again := &metadata{house: h, state: cluster.NewState(), published: &published}
	play(again, 2)
	require.Len(t, published.Load().Topics, 2, "the second opening has got to the first topic only")
	again.apply(4, commands[2])
	again.apply(5, cluster.Command{Do: cluster.DeleteTopic{Name: "t"}}.Encode())
	again.settled()
	require.Len(t, published.Load().Topics, 1)
}
