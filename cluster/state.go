package cluster

import (
	"cmp"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// State is the cluster's metadata. It is immutable: Apply returns another
// one. Look-ups are plain reads of its maps, which nobody may write.
type State struct {
	Cluster codec.UUID // zero until the cluster is founded
	// Revision counts the commands that changed the state.
	Revision uint64
	Nodes    map[codec.NodeID]Node
	// Metadata are the replicas of the metadata group itself: one on each node,
	// and some of them vote.
	Metadata []Replica
	Topics   map[codec.Topic]Topic
	// Tombstones are the replicas whose data may be removed, and has not been.
	Tombstones map[codec.ReplicaID]Tombstone
	// Removed are the data directories of nodes that are no members any more, and
	// what those were called. None of them comes back.
	Removed map[codec.UUID]codec.NodeID
	// Recent are the last commands that may be asked for more than once.
	Recent []Recent

	NextGroup      codec.GroupID
	NextReplica    codec.ReplicaID
	NextProducerID int64
}

// Node is a broker that belongs to the cluster.
type Node struct {
	Name codec.NodeID
	// Disk is the data directory that it registered with first; zero until then.
	// A broker of its name with another one has lost what it promised.
	Disk codec.UUID
	// Epoch counts its registrations: one for each start. Of two processes with
	// one name the older one has to go.
	Epoch uint64
	// Address is where clients reach it; empty when it does not say.
	Address string
	// Link is where other brokers reach it; empty for one that is alone.
	Link string
	// Rack is what it shares its luck with; empty when it does not say.
	Rack string
	// Run is the process that registered last.
	Run uint64
	// Leaving says that it is to be removed: nothing is placed there any more.
	Leaving bool
}

// Active says that things may be placed on a node: it founded the cluster or has
// registered, and is not to be removed.
func (n Node) Active() bool {
	admitted := n.Epoch == 0 && n.Disk != codec.UUID{}
	return !admitted && !n.Leaving
}

// Topic is one incarnation of a topic's name.
type Topic struct {
	ID         codec.UUID
	Name       codec.Topic
	Settings   Settings
	Partitions []Partition // by number
	Created    codec.Millis
}

// Partition is one ordered log and the raft group that keeps it.
type Partition struct {
	Group codec.GroupID
	// Replicas begin with the preferred leader; those that are leaving come last.
	Replicas []Replica
	// Change is the revision since which Replicas are not what consensus has yet;
	// 0 when they are.
	Change uint64
	// Term is that of the leader that last took a change on.
	Term codec.Term
}

// Replica is one copy of a group's log, on one node.
type Replica struct {
	ID   codec.ReplicaID
	Node codec.NodeID
	// Initialized says that the node has made the replica's directory. From
	// then on a missing directory is a lost disk, and never made again: an
	// empty replica would have forgotten what it promised.
	Initialized bool
	// Joins says that it came to a group that there was already: it begins with
	// nothing, not even the members, and gets all from the others.
	Joins bool
	// Leaving says that it is to go, once consensus does not need it any more.
	Leaving bool
	// Learner says that it gets everything and has no vote. Only replicas of the
	// metadata are kept as learners.
	Learner bool
}

// Tombstone permits Node to remove what it has of a replica.
type Tombstone struct {
	Group     codec.GroupID
	Replica   codec.ReplicaID
	Node      codec.NodeID
	Topic     codec.Topic
	TopicID   codec.UUID
	Partition codec.Partition
}

// NewState is the state before the first command.
func NewState() State {
	return State{
		Nodes: map[codec.NodeID]Node{}, Topics: map[codec.Topic]Topic{}, Tombstones: map[codec.ReplicaID]Tombstone{},
		Removed:   map[codec.UUID]codec.NodeID{},
		NextGroup: codec.MetadataGroup, NextReplica: 1,
	}
}

// Assignment is one replica that a node has to keep.
type Assignment struct {
	Replica  codec.ReplicaID
	Group    codec.GroupID
	Topic    codec.Topic
	TopicID  codec.UUID
	Number   codec.Partition
	Settings Settings
	Members  []Replica // of the group, this one included
	Change   uint64    // of the partition

	Initialized bool
	Joins       bool
}

// On lists what node has to keep of topics, in order of replica ids: of a group
// that has several replicas there, the last.
func (s State) On(node codec.NodeID) []Assignment {
	var all []Assignment
	for _, t := range s.Topics {
		for i, p := range t.Partitions {
			if r, ok := newestOn(p.Replicas, node); ok {
				all = append(all, Assignment{Replica: r.ID, Group: p.Group, Topic: t.Name, TopicID: t.ID,
					Number: codec.Partition(i), Settings: t.Settings, Members: p.Replicas, Change: p.Change, Initialized: r.Initialized, Joins: r.Joins})
			}
		}
	}
	slices.SortFunc(all, func(a, b Assignment) int { return cmp.Compare(a.Replica, b.Replica) })
	return all
}

// Buriable lists the tombstones of node, in order of replica ids.
func (s State) Buriable(node codec.NodeID) []Tombstone {
	var all []Tombstone
	for _, id := range slices.Sorted(maps.Keys(s.Tombstones)) {
		if t := s.Tombstones[id]; t.Node == node {
			all = append(all, t)
		}
	}
	return all
}
