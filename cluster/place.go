package cluster

import (
	"cmp"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// load is what a node has been given.
type load struct {
	node     codec.NodeID
	replicas int
	leaders  int // replicas that are preferred leaders
}

// loads counts what each node has of topics, in order of names.
func loads(s State) []load {
	at := map[codec.NodeID]*load{}
	all := make([]load, 0, len(s.Nodes))
	for _, n := range slices.Sorted(maps.Keys(s.Nodes)) {
		if !s.Nodes[n].Active() {
			continue
		}
		all = append(all, load{node: n})
		at[n] = &all[len(all)-1]
	}
	for _, t := range s.Topics {
		for _, p := range t.Partitions {
			for i, r := range p.Replicas {
				if l := at[r.Node]; l != nil && !r.Leaving {
					l.replicas++
					if i == 0 {
						l.leaders++
					}
				}
			}
		}
	}
	return all
}

// place puts replicas of so many new partitions onto nodes: each partition on
// the nodes that have least, and led by the one of them that leads least. It
// depends on nothing but its arguments; replicas is at most the number of
// nodes.
func place(nodes []load, partitions, replicas int) [][]codec.NodeID {
	nodes = slices.Clone(nodes)
	placed := make([][]codec.NodeID, partitions)
	for p := range placed {
		slices.SortFunc(nodes, func(a, b load) int {
			return cmp.Or(cmp.Compare(a.replicas, b.replicas), cmp.Compare(a.leaders, b.leaders), cmp.Compare(a.node, b.node))
		})
		chosen := nodes[:replicas]
		slices.SortFunc(chosen, func(a, b load) int {
			return cmp.Or(cmp.Compare(a.leaders, b.leaders), cmp.Compare(a.replicas, b.replicas), cmp.Compare(a.node, b.node))
		})
		chosen[0].leaders++
		for i := range chosen {
			chosen[i].replicas++
			placed[p] = append(placed[p], chosen[i].node)
		}
	}
	return placed
}
