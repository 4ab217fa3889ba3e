package cluster

import (
	"maps"

	"github.com/troupe-mq/troupe/codec"
)

const (
	nodeNameMax = 255
	addressMax  = 255
)

func foundCluster(s State, do FoundCluster) (State, Result, error) {
	if s.Cluster != (codec.UUID{}) {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "this is cluster %s already", s.Cluster)
	}
	if do.Cluster == (codec.UUID{}) {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "cluster id %s means none", do.Cluster)
	}
	nodes := do.Nodes
	if len(nodes) == 0 {
		nodes = []codec.NodeID{do.Node}
	}
	s.Cluster, s.Nodes, s.Metadata = do.Cluster, map[codec.NodeID]Node{}, nil
	votes := FoundingVoters(len(nodes))
	for i, n := range nodes {
		if err := checkNodeName(n); err != nil {
			return s, Result{}, err
		}
		if _, twice := s.Nodes[n]; twice {
			return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q is named twice", clip(string(n)))
		}
		s.Nodes[n] = Node{Name: n}
		s.Metadata = append(s.Metadata, Replica{ID: s.NextReplica, Node: n, Learner: i >= votes})
		s.NextReplica++
	}
	s.NextGroup = codec.MetadataGroup + 1
	return s, Result{}, nil
}

func checkNodeName(n codec.NodeID) error {
	if len(n) == 0 || len(n) > nodeNameMax {
		return codec.Errorf(codec.InvalidArgument, "node name of %d bytes: want 1 to %d", len(n), nodeNameMax)
	}
	return nil
}

func registerNode(s State, do RegisterNode) (State, Result, error) {
	if err := checkNodeName(do.Node); err != nil {
		return s, Result{}, err
	}
	switch n, known := s.Nodes[do.Node]; {
	case s.Cluster == (codec.UUID{}):
		return s, Result{}, codec.Errorf(codec.Unavailable, "the cluster is not founded yet")
	case do.Disk == (codec.UUID{}):
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "disk id %s means none", do.Disk)
	case max(len(do.Address), len(do.Link), len(do.Rack)) > addressMax:
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "address of %d bytes, link of %d, rack of %d: want at most %d", len(do.Address), len(do.Link), len(do.Rack), addressMax)
	case s.Disowned(do.Disk) != nil:
		return s, Result{}, s.Disowned(do.Disk)
	case !known:
		return s, Result{}, codec.Errorf(codec.Denied, "node %q does not belong to this cluster: let it join with an empty data directory", do.Node)
	case known && n.Disk != (codec.UUID{}) && n.Disk != do.Disk:
		return s, Result{}, codec.Errorf(codec.Denied, "node %q has disk %s in this cluster, not %s: start it with its own data directory, or as a new node with another name", do.Node, n.Disk, do.Disk)
	case do.Run != 0 && n.Run == do.Run:
		return s, Result{Epoch: n.Epoch}, nil
	case do.After != 0 && n.Epoch != do.After:
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q has registered %d times, not %d: another process of it was faster", do.Node, n.Epoch, do.After)
	case n.Disk != do.Disk:
		if other := s.onDisk(do.Disk); other != "" {
			return s, Result{}, codec.Errorf(codec.Denied, "disk %s is that of node %q: a data directory cannot be copied", do.Disk, other)
		}
	}
	n := s.Nodes[do.Node]
	n.Epoch++
	n.Disk, n.Address, n.Link, n.Rack, n.Run = do.Disk, do.Address, do.Link, do.Rack, do.Run
	s.Nodes = maps.Clone(s.Nodes)
	s.Nodes[do.Node] = n
	return s, Result{Epoch: n.Epoch}, nil
}

// onDisk is the node that was admitted or registered with a disk; empty without one.
func (s State) onDisk(disk codec.UUID) codec.NodeID {
	for _, n := range s.Nodes {
		if n.Disk == disk {
			return n.Name
		}
	}
	return ""
}
