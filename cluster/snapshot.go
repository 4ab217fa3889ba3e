package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// stateVersion is that of snapshots written now. Version 5 knows of links, racks,
// learners, nodes that were removed, and commands that may be asked for again.
const stateVersion = 5

// stateFile is a State as a snapshot holds it: JSON, everything in order, so
// that the same state gives the same bytes.
type stateFile struct {
	Version        int             `json:"v"`
	Cluster        string          `json:"cluster"`
	Revision       uint64          `json:"revision"`
	Nodes          []nodeFile      `json:"nodes"`
	Metadata       []replicaFile   `json:"metadata"`
	Topics         []topicFile     `json:"topics"`
	Tombstones     []tombstoneFile `json:"tombstones"`
	Removed        []removedFile   `json:"removed,omitempty"`
	Recent         []recentFile    `json:"recent,omitempty"`
	NextGroup      codec.GroupID   `json:"next_group"`
	NextReplica    codec.ReplicaID `json:"next_replica"`
	NextProducerID int64           `json:"next_producer_id"`
}

type nodeFile struct {
	Name    codec.NodeID `json:"name"`
	Disk    string       `json:"disk"`
	Epoch   uint64       `json:"epoch"`
	Address string       `json:"address,omitempty"`
	Link    string       `json:"link,omitempty"`
	Rack    string       `json:"rack,omitempty"`
	Run     uint64       `json:"run,omitempty"`
	Leaving bool         `json:"leaving,omitempty"`
}

type removedFile struct {
	Disk string       `json:"disk"`
	Node codec.NodeID `json:"node"`
}

type recentFile struct {
	ID              uint64 `json:"id"`
	Revision        uint64 `json:"revision"`
	FirstProducerID int64  `json:"first_producer_id,omitempty"`

	Code    codec.Code `json:"code,omitempty"`
	Message string     `json:"message,omitempty"`
}

// UnmarshalJSON reads a node. In version 1 it was only a name.
func (f *nodeFile) UnmarshalJSON(p []byte) error {
	if len(p) > 0 && p[0] == '"' {
		f.Disk = codec.UUID{}.String()
		return json.Unmarshal(p, &f.Name)
	}
	type plain nodeFile
	return strictly(p, (*plain)(f))
}

type topicFile struct {
	Name       codec.Topic       `json:"name"`
	ID         string            `json:"id"`
	Created    codec.Millis      `json:"created"`
	Settings   map[string]string `json:"settings"`
	Partitions []partitionFile   `json:"partitions"`
}

type partitionFile struct {
	Group    codec.GroupID `json:"group"`
	Replicas []replicaFile `json:"replicas"`
	Change   uint64        `json:"change,omitempty"`
	Term     codec.Term    `json:"term,omitempty"`
}

type replicaFile struct {
	ID          codec.ReplicaID `json:"id"`
	Node        codec.NodeID    `json:"node"`
	Initialized bool            `json:"initialized,omitempty"`
	Joins       bool            `json:"joins,omitempty"`
	Leaving     bool            `json:"leaving,omitempty"`
	Learner     bool            `json:"learner,omitempty"`
}

type tombstoneFile struct {
	Replica   codec.ReplicaID `json:"replica"`
	Group     codec.GroupID   `json:"group"`
	Node      codec.NodeID    `json:"node"`
	Topic     codec.Topic     `json:"topic"`
	TopicID   string          `json:"topic_id"`
	Partition codec.Partition `json:"partition"`
}

// Encode writes the whole state. The caller adds a checksum.
func (s State) Encode() []byte {
	f := stateFile{Version: stateVersion, Cluster: s.Cluster.String(), Revision: s.Revision,
		Metadata: replicasOut(s.Metadata), NextGroup: s.NextGroup, NextReplica: s.NextReplica, NextProducerID: s.NextProducerID}
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[name]
		f.Nodes = append(f.Nodes, nodeFile{n.Name, n.Disk.String(), n.Epoch, n.Address, n.Link, n.Rack, n.Run, n.Leaving})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Topics)) {
		t := s.Topics[name]
		out := topicFile{Name: t.Name, ID: t.ID.String(), Created: t.Created, Settings: t.Settings.Map()}
		for _, p := range t.Partitions {
			out.Partitions = append(out.Partitions, partitionFile{Group: p.Group, Replicas: replicasOut(p.Replicas), Change: p.Change, Term: p.Term})
		}
		f.Topics = append(f.Topics, out)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Tombstones)) {
		t := s.Tombstones[id]
		f.Tombstones = append(f.Tombstones, tombstoneFile{t.Replica, t.Group, t.Node, t.Topic, t.TopicID.String(), t.Partition})
	}
	for disk, name := range s.Removed {
		f.Removed = append(f.Removed, removedFile{disk.String(), name})
	}
	slices.SortFunc(f.Removed, func(a, b removedFile) int { return strings.Compare(a.Disk, b.Disk) })
	for _, r := range s.Recent {
		f.Recent = append(f.Recent, recentFile(r))
	}
	p, err := json.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("cluster: encode state: %v", err))
	}
	return p
}

func replicasOut(in []Replica) []replicaFile {
	var out []replicaFile
	for _, r := range in {
		out = append(out, replicaFile(r))
	}
	return out
}

// DecodeState reads what Encode wrote, and checks that it is a state.
func DecodeState(p []byte) (State, error) {
	var f stateFile
	if err := strictly(p, &f); err != nil {
		return State{}, fmt.Errorf("decode state: %w", err)
	}
	if f.Version < 1 || f.Version > stateVersion {
		return State{}, fmt.Errorf("decode state: version %d, up to %d is known", f.Version, stateVersion)
	}
	s, err := f.state()
	if err != nil {
		return State{}, fmt.Errorf("decode state: %w", err)
	}
	if err := s.check(); err != nil {
		return State{}, fmt.Errorf("decode state: %w", err)
	}
	return s, nil
}

func (f stateFile) state() (State, error) {
	s := NewState()
	s.Revision, s.NextGroup, s.NextReplica, s.NextProducerID = f.Revision, f.NextGroup, f.NextReplica, f.NextProducerID
	s.Metadata = replicasIn(f.Metadata)
	var err error
	if s.Cluster, err = codec.ParseUUID(f.Cluster); err != nil {
		return s, err
	}
	for _, in := range f.Nodes {
		n := Node{Name: in.Name, Epoch: in.Epoch, Address: in.Address, Link: in.Link, Rack: in.Rack, Run: in.Run, Leaving: in.Leaving}
		if n.Disk, err = codec.ParseUUID(in.Disk); err != nil {
			return s, err
		}
		s.Nodes[n.Name] = n
	}
	for _, in := range f.Topics {
		t := Topic{Name: in.Name, Created: in.Created}
		if t.ID, err = codec.ParseUUID(in.ID); err != nil {
			return s, err
		}
		if t.Settings, err = DefaultSettings().With(in.Settings); err != nil {
			return s, err
		}
		for _, p := range in.Partitions {
			t.Partitions = append(t.Partitions, Partition{Group: p.Group, Replicas: replicasIn(p.Replicas), Change: p.Change, Term: p.Term})
		}
		if _, twice := s.Topics[t.Name]; twice {
			return s, fmt.Errorf("topic %s is there twice", t.Name)
		}
		s.Topics[t.Name] = t
	}
	for _, in := range f.Tombstones {
		if codec.Mutant("snapshot-without-tombs") {
			break
		}
		t := Tombstone{Replica: in.Replica, Group: in.Group, Node: in.Node, Topic: in.Topic, Partition: in.Partition}
		if t.TopicID, err = codec.ParseUUID(in.TopicID); err != nil {
			return s, err
		}
		s.Tombstones[t.Replica] = t
	}
	for _, in := range f.Removed {
		disk, err := codec.ParseUUID(in.Disk)
		if err != nil {
			return s, err
		}
		s.Removed[disk] = in.Node
	}
	for _, in := range f.Recent {
		s.Recent = append(s.Recent, Recent(in))
	}
	return s, nil
}

func replicasIn(in []replicaFile) []Replica {
	var out []Replica
	for _, r := range in {
		out = append(out, Replica(r))
	}
	return out
}

// check says whether s can be a state: every topic is one that a command
// could have made, and every id was given once and before the next one.
func (s State) check() error {
	groups, replicas := map[codec.GroupID]bool{}, map[codec.ReplicaID]bool{}
	take := func(r codec.ReplicaID) error {
		if r < 1 || r >= s.NextReplica || replicas[r] {
			return fmt.Errorf("replica %d is given twice, or not below the next id %d", r, s.NextReplica)
		}
		replicas[r] = true
		return nil
	}
	for _, r := range s.Metadata {
		if err := take(r.ID); err != nil {
			return err
		}
	}
	for _, t := range s.Topics {
		if err := codec.CheckTopicName(t.Name); err != nil {
			return err
		}
		if len(t.Partitions) == 0 {
			return fmt.Errorf("topic %s has no partition", t.Name)
		}
		for i, p := range t.Partitions {
			if n := len(p.Staying()); n == 0 || p.Change == 0 && n < len(p.Replicas) {
				return fmt.Errorf("%s/%d has no replica that stays, or one that leaves without a change", t.Name, i)
			}
			if p.Group <= codec.MetadataGroup || p.Group >= s.NextGroup || groups[p.Group] {
				return fmt.Errorf("group %d of %s/%d is given twice, or not below the next id %d", p.Group, t.Name, i, s.NextGroup)
			}
			groups[p.Group] = true
			for _, r := range p.Replicas {
				if err := take(r.ID); err != nil {
					return err
				}
			}
		}
	}
	for id := range s.Tombstones {
		if err := take(id); err != nil {
			return err
		}
	}
	return nil
}
