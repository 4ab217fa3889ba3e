package world

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

const (
	joinsMost   = 5 // nodes that join in one run
	membersMost = 6
)

// strikeJoin has another node join.
func (c *Cluster) strikeJoin() bool {
	if c.joins == joinsMost || len(c.nodes) >= membersMost {
		return false
	}
	c.joins++
	_, err := c.join(codec.NodeID(fmt.Sprintf("n%d", len(c.founding.Nodes)+c.joins)), []string{"", "r1", "r2"}[c.chance.IntN(3)])
	c.fail(err)
	return true
}

// strikeRetire has a node leave for good, when enough are left and none is leaving.
func (c *Cluster) strikeRetire() bool {
	s := c.atlas.newest()
	if s == nil || len(c.retiring) > 0 || c.atlas.used() {
		return false
	}
	active := 0
	for _, n := range s.Nodes {
		if n.Active() {
			active++
		}
	}
	n := c.nodes[c.chance.IntN(len(c.nodes))]
	if active < 4 || !s.Nodes[n.name].Active() {
		return false
	}
	c.retiring = append(c.retiring, n)
	c.retire(n)
	return true
}

// retire does what there is to do next, again and again: replicas go elsewhere; when
// there is none left, the node is removed; when it is, nobody needs it any more.
func (c *Cluster) retire(n *Node) {
	s, by := c.atlas.newest(), c.anyBut(n.name)
	if s == nil || by == nil {
		c.w.After(time.Second, "retire", func() { c.retire(n) })
		return
	}
	if _, there := s.Nodes[n.name]; !there {
		c.retiring = slices.DeleteFunc(c.retiring, func(o *Node) bool { return o == n })
		c.dismiss(n)
		return
	}
	has := false
	for _, name := range slices.Sorted(maps.Keys(s.Topics)) {
		t := s.Topics[name]
		for i, p := range t.Partitions {
			has = has || slices.ContainsFunc(p.Replicas, func(r cluster.Replica) bool { return r.Node == n.name })
			if nodes, moves := c.without(s, p, n.name); moves {
				by.Broker.ChangeReplicas(codec.TopicPartition{Topic: t.Name, Partition: codec.Partition(i)}, nodes, func(error) {})
			}
		}
	}
	if !has {
		by.Broker.Remove(n.name, func(error) {})
	}
	c.w.After(time.Second+c.upTo(time.Second), "retire", func() { c.retire(n) })
}

// without are nodes for a partition of which one leaves: another one takes its place,
// if there is any.
func (c *Cluster) without(s *cluster.State, p cluster.Partition, name codec.NodeID) (nodes []codec.NodeID, moves bool) {
	for _, r := range p.Staying() {
		if r.Node == name {
			moves = true
			continue
		}
		nodes = append(nodes, r.Node)
	}
	for _, n := range c.nodes {
		if moves && n.name != name && s.Nodes[n.name].Active() && !slices.Contains(nodes, n.name) {
			return append(nodes, n.name), true
		}
	}
	return nodes, moves && len(nodes) > 0
}

// voting says whether as many nodes vote on the metadata as can, all of whom know it.
// Of nodes that are gone for good nothing is known.
func (c *Cluster) voting() bool {
	if c.atlas.used() {
		return true
	}
	for _, n := range c.nodes {
		voters := 0
		for _, r := range n.Broker.Metadata().Metadata {
			if !r.Learner {
				voters++
			}
		}
		if voters != cluster.FoundingVoters(len(c.nodes)) {
			return false
		}
	}
	return true
}

// strikeResize gives a topic another number of replicas.
func (c *Cluster) strikeResize() bool {
	n := c.any()
	if n == nil || c.atlas.used() {
		return false
	}
	log := c.logs[c.chance.IntN(len(c.logs))]
	n.Broker.AlterTopic(codec.AlterTopic{Topic: log.Topic, Replicas: int32(1 + c.chance.IntN(5))}, func(codec.TopicDescription, error) {})
	return true
}

// anyBut is a node that has started, and is not called so.
func (c *Cluster) anyBut(name codec.NodeID) *Node {
	for _, n := range c.nodes {
		if n.Up() && n.started && n.name != name {
			return n
		}
	}
	return nil
}
