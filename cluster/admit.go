package cluster

import (
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// A node comes in two steps, and goes in two. AdmitNode makes it known, with a
// replica of the metadata that learns; it is active when it has registered.
// RemoveNode says that it is to go; when consensus has let its replica of the
// metadata go, ForgetNode takes it off the list, and its data directory never comes
// back.

// admitNode lets a node in. Of what was said before, all must be the same.
func admitNode(s State, do AdmitNode) (State, Result, error) {
	if err := checkNodeName(do.Node); err != nil {
		return s, Result{}, err
	}
	switch n, known := s.Nodes[do.Node]; {
	case s.Cluster == (codec.UUID{}):
		return s, Result{}, codec.Errorf(codec.Unavailable, "the cluster is not founded yet")
	case do.Disk == (codec.UUID{}):
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "disk id %s means none", do.Disk)
	case max(len(do.Link), len(do.Rack)) > addressMax:
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "link of %d bytes, rack of %d: want at most %d", len(do.Link), len(do.Rack), addressMax)
	case s.Disowned(do.Disk) != nil:
		return s, Result{}, s.Disowned(do.Disk)
	case known && n.Leaving:
		return s, Result{}, codec.Errorf(codec.Denied, "node %q is being removed from this cluster: wait until it is, or take another name", do.Node)
	case known && n.Disk == do.Disk:
		return s, Result{}, nil
	case known && n.Epoch == 0 && n.Disk != codec.UUID{}:
		return s, Result{}, codec.Errorf(codec.Denied, "node %q was let in with another data directory and has not come: start it with that one, remove it first, or take another name", do.Node)
	case known:
		return s, Result{}, codec.Errorf(codec.Denied, "the name %q is taken in this cluster: start that node with its own data directory, or this one with another name", do.Node)
	}
	if other := s.onDisk(do.Disk); other != "" {
		return s, Result{}, codec.Errorf(codec.Denied, "disk %s is that of node %q: a data directory cannot be copied, start with an empty one", do.Disk, other)
	}
	s.Nodes = maps.Clone(s.Nodes)
	s.Nodes[do.Node] = Node{Name: do.Node, Disk: do.Disk, Link: do.Link, Rack: do.Rack}
	s.Metadata = append(slices.Clone(s.Metadata), Replica{ID: s.NextReplica, Node: do.Node, Joins: true, Learner: true})
	s.NextReplica++
	return s, Result{}, nil
}

// Disowned says that a disk is that of a removed node, which does not come back; nil for
// any other. The code is Denied. A state of the past may not know it yet, and never says
// it wrongly.
func (s State) Disowned(disk codec.UUID) error {
	name, removed := s.Removed[disk]
	if !removed {
		return nil
	}
	return codec.Errorf(codec.Denied, "disk %s is that of node %q, which was removed from this cluster: start with an empty data directory", disk, name)
}

// removeNode says that a node is to go. What it has of topics has to be elsewhere
// before.
func removeNode(s State, do RemoveNode) (State, Result, error) {
	n, known := s.Nodes[do.Node]
	switch {
	case !known:
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "no node %q in this cluster", clip(string(do.Node)))
	case n.Leaving:
		return s, Result{}, nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Topics)) {
		for i, p := range s.Topics[name].Partitions {
			if slices.ContainsFunc(p.Replicas, func(r Replica) bool { return r.Node == do.Node }) {
				return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q has a replica of %s/%d: move its replicas to other nodes first, or wait until they have moved", do.Node, name, i)
			}
		}
	}
	if rest := s.active(); rest == 0 || rest == 1 && n.Active() {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q is the last one that is active", do.Node)
	}
	n.Leaving = true
	s.Nodes = maps.Clone(s.Nodes)
	s.Nodes[do.Node] = n
	s.Metadata = slices.Clone(s.Metadata)
	for i := range s.Metadata {
		if r := &s.Metadata[i]; r.Node == do.Node {
			r.Leaving = true
		}
	}
	return s, Result{}, nil
}

// forgetNode ends what removeNode began.
func forgetNode(s State, do ForgetNode) (State, Result, error) {
	n, known := s.Nodes[do.Node]
	if !known || !n.Leaving {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q is not being removed", clip(string(do.Node)))
	}
	if slices.ContainsFunc(s.Metadata, func(r Replica) bool { return r.Node == do.Node && !r.Learner }) {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q votes on the metadata", do.Node)
	}
	s.Nodes = maps.Clone(s.Nodes)
	delete(s.Nodes, do.Node)
	s.Metadata = slices.DeleteFunc(slices.Clone(s.Metadata), func(r Replica) bool { return r.Node == do.Node })
	s.Tombstones = maps.Clone(s.Tombstones)
	maps.DeleteFunc(s.Tombstones, func(_ codec.ReplicaID, t Tombstone) bool { return t.Node == do.Node })
	if n.Disk != (codec.UUID{}) {
		s.Removed = maps.Clone(s.Removed)
		s.Removed[n.Disk] = do.Node
	}
	return s, Result{}, nil
}

// active is how many nodes things may be placed on.
func (s State) active() (n int) {
	for _, one := range s.Nodes {
		if one.Active() {
			n++
		}
	}
	return n
}
