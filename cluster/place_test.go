package cluster

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

// For any number of nodes, partitions and replicas: a partition's replicas are
// on distinct nodes, nodes differ by one replica at most and by two leaders at
// most, and the same arguments give the same places.
func TestPlaceIsBalanced(t *testing.T) {
	for nodes := 1; nodes <= 7; nodes++ {
		for replicas := 1; replicas <= nodes; replicas++ {
			for _, partitions := range []int{1, 2, 6, 12, 97} {
				var all []load
				for i := range nodes {
					all = append(all, load{node: codec.NodeID(fmt.Sprintf("n%d", i))})
				}
				placed := place(all, partitions, replicas)
				require.Equal(t, placed, place(all, partitions, replicas))
				count, leads := map[codec.NodeID]int{}, map[codec.NodeID]int{}
				for _, p := range placed {
					distinct := map[codec.NodeID]bool{}
					for _, n := range p {
						distinct[n] = true
						count[n]++
					}
					require.Len(t, distinct, replicas)
					leads[p[0]]++
				}
				require.LessOrEqual(t, spread(all, count), 1, "%d nodes, %d partitions, %d replicas: %v", nodes, partitions, replicas, count)
				require.LessOrEqual(t, spread(all, leads), 2, "%d nodes, %d partitions, %d replicas: leaders %v", nodes, partitions, replicas, leads)
			}
		}
	}
}

func spread(nodes []load, of map[codec.NodeID]int) int {
	low, high := of[nodes[0].node], of[nodes[0].node]
	for _, n := range nodes {
		low, high = min(low, of[n.node]), max(high, of[n.node])
	}
	return high - low
}

func TestPlaceFillsWhatIsEmpty(t *testing.T) {
	nodes := []load{{node: "full", replicas: 9, leaders: 9}, {node: "half", replicas: 5, leaders: 5}, {node: "new"}}
	require.Equal(t, [][]codec.NodeID{{"new", "half"}, {"new", "half"}}, place(nodes, 2, 2))
	require.Equal(t, []load{{node: "full", replicas: 9, leaders: 9}, {node: "half", replicas: 5, leaders: 5}, {node: "new"}}, nodes)
}
