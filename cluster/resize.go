package cluster

import (
	"cmp"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// resize gives each partition of a topic so many replicas. Those that are added go
// where placing puts them; of those that are there the ones go first that do not
// answer, then such as share their rack with others, then those whose node has most.
func resize(s State, t Topic, do AlterTopic) (State, Result, error) {
	for i := range t.Partitions {
		p := s.Topics[t.Name].Partitions[i]
		var nodes []codec.NodeID
		for _, r := range p.Staying() {
			nodes = append(nodes, r.Node)
		}
		all := loads(s, do.Silent)
		nodes = fewer(all, nodes, do.Replicas)
		for _, n := range choose(all, nodes, do.Replicas-len(nodes)) {
			nodes = append(nodes, n.node)
		}
		if len(p.Staying()) == len(nodes) {
			continue
		}
		next, _, err := changeReplicas(s, ChangeReplicas{Group: p.Group, Nodes: nodes})
		if err != nil {
			return s, Result{}, err
		}
		s = next
	}
	return s, Result{Topic: s.Topics[t.Name]}, nil
}

// fewer drops nodes until there are so many. The order of the rest stays, so that the
// first still leads unless it is one that goes.
func fewer(all []load, nodes []codec.NodeID, count int) []codec.NodeID {
	nodes = slices.Clone(nodes)
	for len(nodes) > count {
		racks, has := map[string]int{}, []load{}
		for _, name := range nodes {
			n := load{node: name, silent: true} // one that is not active goes first
			if at := slices.IndexFunc(all, func(l load) bool { return l.node == name }); at >= 0 {
				n = all[at]
			}
			racks[n.rack]++
			has = append(has, n)
		}
		worst := 0
		for i := range has {
			if i > 0 && worse(&has[i], &has[worst], racks, worst == 0) {
				worst = i
			}
		}
		nodes = slices.Delete(nodes, worst, worst+1)
	}
	return nodes
}

// worse says whether the replica on a is to go rather than that on b. The one that is
// to lead goes only for the first reason.
func worse(a, b *load, racks map[string]int, leads bool) bool {
	if a.silent != b.silent {
		return a.silent
	}
	return leads || cmp.Or(cmp.Compare(together(b, racks), together(a, racks)), cmp.Compare(b.replicas, a.replicas), cmp.Compare(b.leaders, a.leaders), cmp.Compare(b.node, a.node)) <= 0
}
