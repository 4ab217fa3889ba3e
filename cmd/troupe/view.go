package main

import (
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// view shows clients the cluster as this broker sees it; it is gateway.Cluster.
type view struct {
	broker *actors.Broker
	linked *linked // nil for a broker alone
}

// View implements gateway.Cluster.
func (v view) View() codec.ClusterView {
	id, self := v.broker.Identity()
	all := codec.ClusterView{Cluster: id, Node: self, Controller: v.broker.Controller()}
	s := v.broker.Metadata()
	if s == nil {
		return all
	}
	lanes := v.lanes()
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[name]
		one := codec.ClusterNode{Node: name, Address: n.Address, Link: n.Link, Rack: n.Rack, State: stateOf(n), Heard: name == self, Votes: votes(s, name)}
		if p, ok := lanes[name]; ok && name != self {
			one.Heard = p.Control.State == link.Up
			if !one.Heard {
				one.Trouble = p.Control.Trouble
			}
		}
		all.Nodes = append(all.Nodes, one)
	}
	return all
}

func (v view) lanes() map[codec.NodeID]link.PeerStatus {
	all := map[codec.NodeID]link.PeerStatus{}
	if v.linked != nil {
		for _, p := range v.linked.link.Status().Peers {
			all[p.Node] = p
		}
	}
	return all
}

func stateOf(n cluster.Node) codec.NodeState {
	switch {
	case n.Leaving:
		return codec.NodeLeaving
	case !n.Active():
		return codec.NodeJoining
	}
	return codec.NodeActive
}

func votes(s *cluster.State, name codec.NodeID) bool {
	return slices.ContainsFunc(s.Metadata, func(r cluster.Replica) bool { return r.Node == name && !r.Learner })
}

// RemoveNode implements gateway.Cluster.
func (v view) RemoveNode(node codec.NodeID, reply func(error)) { v.broker.Remove(node, reply) }
