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
	rack     string
	silent   bool // it does not answer
	replicas int
	leaders  int // replicas that are preferred leaders
}

// loads counts what each active node has of topics, in order of names.
func loads(s State, silent []codec.NodeID) []load {
	at := map[codec.NodeID]*load{}
	all := make([]load, 0, len(s.Nodes))
	for _, n := range slices.Sorted(maps.Keys(s.Nodes)) {
		if !s.Nodes[n].Active() {
			continue
		}
		all = append(all, load{node: n, rack: s.Nodes[n].Rack, silent: slices.Contains(silent, n)})
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

// place puts replicas of so many new partitions onto nodes: each partition on nodes
// that answer, in as many racks as there are, and of those on the ones that have
// least; and led by the one of them that leads least. It depends on nothing but its
// arguments; replicas is at most the number of nodes.
func place(nodes []load, partitions, replicas int) [][]codec.NodeID {
	nodes = slices.Clone(nodes)
	placed := make([][]codec.NodeID, partitions)
	for p := range placed {
		chosen := choose(nodes, nil, replicas)
		slices.SortFunc(chosen, func(a, b *load) int {
			return cmp.Or(first(!a.silent, !b.silent), cmp.Compare(a.leaders, b.leaders), cmp.Compare(a.replicas, b.replicas), cmp.Compare(a.node, b.node))
		})
		chosen[0].leaders++
		for _, n := range chosen {
			n.replicas++
			placed[p] = append(placed[p], n.node)
		}
	}
	return placed
}

// choose takes so many nodes for one partition that has replicas on some already.
func choose(nodes []load, has []codec.NodeID, count int) (chosen []*load) {
	taken, racks := map[codec.NodeID]bool{}, map[string]int{}
	for i := range nodes {
		if n := &nodes[i]; slices.Contains(has, n.node) {
			taken[n.node] = true
			racks[n.rack]++
		}
	}
	for len(chosen) < count {
		var best *load
		for i := range nodes {
			n := &nodes[i]
			if !taken[n.node] && (best == nil || better(n, best, racks)) {
				best = n
			}
		}
		if best == nil {
			return chosen
		}
		taken[best.node] = true
		if best.rack != "" {
			racks[best.rack]++
		}
		chosen = append(chosen, best)
	}
	return chosen
}

// better says whether a is a better place for a replica than b, beside so many others
// in each rack. Nodes that name no rack share none.
func better(a, b *load, racks map[string]int) bool {
	return cmp.Or(first(!a.silent, !b.silent), cmp.Compare(together(a, racks), together(b, racks)),
		cmp.Compare(a.replicas, b.replicas), cmp.Compare(a.leaders, b.leaders), cmp.Compare(a.node, b.node)) < 0
}

func together(n *load, racks map[string]int) int {
	if n.rack == "" {
		return 0
	}
	return racks[n.rack]
}

// first orders what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
