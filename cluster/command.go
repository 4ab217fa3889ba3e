package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/troupe-mq/troupe/codec"
)

// Command is one entry of the metadata log: an action, if the state is still
// what its author saw.
type Command struct {
	// Expect is the revision that the state must have; 0 for any.
	Expect uint64
	// ID tells a command that is asked for again from another one that says the
	// same; 0 for one of which that does not matter.
	ID uint64
	Do Action
}

// Action is one of the structs below.
type Action interface{ name() string }

// FoundCluster makes a cluster of one node, or of Nodes when there are some.
// Its metadata group is group 1, with replica 1 on the first of them, replica 2
// on the next and so on.
type FoundCluster struct {
	Cluster codec.UUID     `json:"-"`
	Node    codec.NodeID   `json:"node,omitempty"`
	Nodes   []codec.NodeID `json:"nodes,omitempty"`
}

// RegisterNode is what a broker says of itself at each start, before it keeps
// anything. Only a node that founded the cluster or was admitted to it can.
type RegisterNode struct {
	Node    codec.NodeID `json:"node"`
	Disk    codec.UUID   `json:"-"`
	Address string       `json:"address,omitempty"`
	Link    string       `json:"link,omitempty"`
	Rack    string       `json:"rack,omitempty"`
	// Run is drawn by each process: what one says twice counts once.
	Run uint64 `json:"run,omitempty"`
	// After is the epoch that the process knows of, so that what its predecessor
	// said does not count behind it; 0 when it knows of none.
	After uint64 `json:"after,omitempty"`
}

// AdmitNode lets a new node in: it gets a replica of the metadata, as a learner,
// and is active when it has registered. Saying it again changes nothing.
type AdmitNode struct {
	Node codec.NodeID `json:"node"`
	Disk codec.UUID   `json:"-"`
	Link string       `json:"link,omitempty"`
	Rack string       `json:"rack,omitempty"`
}

// RemoveNode says that a node is to leave the cluster, which has no replica of a
// topic any more.
type RemoveNode struct {
	Node codec.NodeID `json:"node"`
}

// ForgetNode ends the membership of a node that is leaving: consensus does not
// need its replica of the metadata any more.
type ForgetNode struct {
	Node codec.NodeID `json:"node"`
}

// ChangeMetadata says which replicas of the metadata are to vote. The others
// learn.
type ChangeMetadata struct {
	Voters []codec.ReplicaID `json:"voters"`
}

// CreateTopic makes a topic. Its id is drawn by the author and new; its
// replicas are 0 for min(3, active nodes).
type CreateTopic struct {
	Name       codec.Topic       `json:"name"`
	ID         codec.UUID        `json:"-"`
	Partitions int               `json:"partitions"`
	Replicas   int               `json:"replicas"`
	Settings   map[string]string `json:"settings,omitempty"`
	Now        codec.Millis      `json:"now"`
	// Silent are nodes that do not answer, as the leader of the metadata sees it:
	// others are preferred.
	Silent []codec.NodeID `json:"silent,omitempty"`
}

// AlterTopic changes settings of a topic, adds partitions, or changes the number of
// their replicas: Partitions and Replicas are the new numbers, 0 for as many as
// there are.
type AlterTopic struct {
	Name       codec.Topic       `json:"name"`
	Settings   map[string]string `json:"settings,omitempty"`
	Partitions int               `json:"partitions,omitempty"`
	Replicas   int               `json:"replicas,omitempty"`
	Silent     []codec.NodeID    `json:"silent,omitempty"` // as in CreateTopic
}

// Placing is a command that chooses nodes: the leader of the metadata, which decides
// it, adds whom it does not hear.
func (c Command) Placing(silent []codec.NodeID) Command {
	switch do := c.Do.(type) {
	case CreateTopic:
		do.Silent = silent
		c.Do = do
	case AlterTopic:
		do.Silent = silent
		c.Do = do
	}
	return c
}

// Initialize says that the directories of replicas have been made. A replica
// that is gone by then is passed over.
type Initialize struct {
	Replicas []codec.ReplicaID `json:"replicas"`
}

// DeleteTopic leaves a tombstone for each of the topic's replicas.
type DeleteTopic struct {
	Name codec.Topic `json:"name"`
}

// ChangeReplicas says on which nodes the replicas of a group are to be. The
// first is to lead.
type ChangeReplicas struct {
	Group codec.GroupID  `json:"group"`
	Nodes []codec.NodeID `json:"nodes"`
}

// ReplaceReplica puts a new replica in the place of one whose data is lost, on
// the same node.
type ReplaceReplica struct {
	Replica codec.ReplicaID `json:"replica"`
}

// TakeChange says that the leader of a term takes a change of its group on. From
// then on those of earlier terms have nothing to say about it.
type TakeChange struct {
	Group  codec.GroupID `json:"group"`
	Change uint64        `json:"change"`
	Term   codec.Term    `json:"term"`
}

// FinishChange says that consensus has the replicas that the change asked for,
// and no others. The leader that took the change on last says so.
type FinishChange struct {
	Group  codec.GroupID `json:"group"`
	Change uint64        `json:"change"`
	Term   codec.Term    `json:"term,omitempty"`
}

// Buried says that the data behind a tombstone is gone.
type Buried struct {
	Replica codec.ReplicaID `json:"replica"`
}

// AllocateProducerIDs gives out a block of producer ids.
type AllocateProducerIDs struct {
	Count int64 `json:"count"`
}

func (FoundCluster) name() string        { return "found_cluster" }
func (RegisterNode) name() string        { return "register_node" }
func (AdmitNode) name() string           { return "admit_node" }
func (RemoveNode) name() string          { return "remove_node" }
func (ForgetNode) name() string          { return "forget_node" }
func (ChangeMetadata) name() string      { return "change_metadata" }
func (CreateTopic) name() string         { return "create_topic" }
func (AlterTopic) name() string          { return "alter_topic" }
func (Initialize) name() string          { return "initialize" }
func (DeleteTopic) name() string         { return "delete_topic" }
func (ChangeReplicas) name() string      { return "change_replicas" }
func (ReplaceReplica) name() string      { return "replace_replica" }
func (TakeChange) name() string          { return "take_change" }
func (FinishChange) name() string        { return "finish_change" }
func (Buried) name() string              { return "buried" }
func (AllocateProducerIDs) name() string { return "allocate_producer_ids" }

const commandVersion = 1

// envelope is a command as it lies in the log: JSON, for metadata changes are
// rare and people read them in a dump. UUID is that of the action, which JSON
// would write as a list of numbers.
type envelope struct {
	Version int             `json:"v"`
	Do      string          `json:"do"`
	Expect  uint64          `json:"expect,omitempty"`
	ID      uint64          `json:"id,omitempty"`
	UUID    string          `json:"uuid,omitempty"`
	With    json.RawMessage `json:"with"`
}

// Encode writes c: the same bytes for the same command.
func (c Command) Encode() []byte {
	with, err := json.Marshal(c.Do)
	if err != nil {
		panic(fmt.Sprintf("cluster: encode %s: %v", c.Do.name(), err))
	}
	e := envelope{Version: commandVersion, Do: c.Do.name(), Expect: c.Expect, ID: c.ID, With: with}
	switch do := c.Do.(type) {
	case FoundCluster:
		e.UUID = do.Cluster.String()
	case RegisterNode:
		e.UUID = do.Disk.String()
	case AdmitNode:
		e.UUID = do.Disk.String()
	case CreateTopic:
		e.UUID = do.ID.String()
	}
	p, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("cluster: encode %s: %v", c.Do.name(), err))
	}
	return p
}

// DecodeCommand reads what Encode wrote. A field that this version does not
// know is an error: to ignore it would make brokers of two versions differ.
func DecodeCommand(p []byte) (Command, error) {
	var e envelope
	if err := strictly(p, &e); err != nil {
		return Command{}, fmt.Errorf("decode command: %w", err)
	}
	if e.Version != commandVersion {
		return Command{}, fmt.Errorf("decode command: version %d, %d is known", e.Version, commandVersion)
	}
	do, err := decodeAction(e)
	if err != nil {
		return Command{}, fmt.Errorf("decode command %q: %w", clip(e.Do), err)
	}
	return Command{Expect: e.Expect, ID: e.ID, Do: do}, nil
}

func decodeAction(e envelope) (Action, error) {
	switch e.Do {
	case FoundCluster{}.name():
		var do FoundCluster
		return with(e, &do, &do.Cluster)
	case RegisterNode{}.name():
		var do RegisterNode
		return with(e, &do, &do.Disk)
	case AdmitNode{}.name():
		var do AdmitNode
		return with(e, &do, &do.Disk)
	case RemoveNode{}.name():
		return with(e, &RemoveNode{}, nil)
	case ForgetNode{}.name():
		return with(e, &ForgetNode{}, nil)
	case ChangeMetadata{}.name():
		return with(e, &ChangeMetadata{}, nil)
	case CreateTopic{}.name():
		var do CreateTopic
		return with(e, &do, &do.ID)
	case AlterTopic{}.name():
		return with(e, &AlterTopic{}, nil)
	case Initialize{}.name():
		return with(e, &Initialize{}, nil)
	case DeleteTopic{}.name():
		return with(e, &DeleteTopic{}, nil)
	case ChangeReplicas{}.name():
		return with(e, &ChangeReplicas{}, nil)
	case ReplaceReplica{}.name():
		return with(e, &ReplaceReplica{}, nil)
	case TakeChange{}.name():
		return with(e, &TakeChange{}, nil)
	case FinishChange{}.name():
		return with(e, &FinishChange{}, nil)
	case Buried{}.name():
		return with(e, &Buried{}, nil)
	case AllocateProducerIDs{}.name():
		return with(e, &AllocateProducerIDs{}, nil)
	}
	return nil, fmt.Errorf("no such command")
}

// with reads an action and, where it has one, its uuid.
func with[A Action](e envelope, do *A, id *codec.UUID) (Action, error) {
	if err := strictly(e.With, do); err != nil {
		return nil, err
	}
	if id == nil {
		if e.UUID != "" {
			return nil, fmt.Errorf("it has no uuid")
		}
		return *do, nil
	}
	var err error
	*id, err = codec.ParseUUID(e.UUID)
	return *do, err
}

// strictly reads one JSON value without unknown fields and nothing behind it.
func strictly(p []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more than one JSON value")
	}
	return nil
}
