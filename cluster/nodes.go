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
	for _, n := range nodes {
		if err := checkNodeName(n); err != nil {
			return s, Result{}, err
		}
		if _, twice := s.Nodes[n]; twice {
			return s, Result{}, codec.Errorf(codec.InvalidArgument, "node %q is named twice", clip(string(n)))
		}
		s.Nodes[n] = Node{Name: n}
		s.Metadata = append(s.Metadata, Replica{ID: s.NextReplica, Node: n})
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
	case len(do.Address) > addressMax:
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "address of %d bytes: want at most %d", len(do.Address), addressMax)
	case known && n.Disk != (codec.UUID{}) && n.Disk != do.Disk:
		return s, Result{}, codec.Errorf(codec.Denied, "node %q has disk %s in this cluster, not %s: start it with its own data directory, or as a new node with another name", do.Node, n.Disk, do.Disk)
	case !known || n.Disk != do.Disk:
		if other := s.onDisk(do.Disk); other != "" {
			return s, Result{}, codec.Errorf(codec.Denied, "disk %s is that of node %q: a data directory cannot be copied", do.Disk, other)
		}
	}
	epoch := s.Nodes[do.Node].Epoch + 1
	s.Nodes = maps.Clone(s.Nodes)
	s.Nodes[do.Node] = Node{Name: do.Node, Disk: do.Disk, Epoch: epoch, Address: do.Address}
	return s, Result{Epoch: epoch}, nil
}

// onDisk is the node that registered with a disk; empty without one.
func (s State) onDisk(disk codec.UUID) codec.NodeID {
	for _, n := range s.Nodes {
		if n.Disk == disk {
			return n.Name
		}
	}
	return ""
}
