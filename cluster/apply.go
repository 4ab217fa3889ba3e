package cluster

import (
	"maps"
	"slices"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

const (
	// PartitionsMax is how many partitions a topic may have.
	PartitionsMax = 10_000
	// ProducerIDsMax is the largest block of producer ids.
	ProducerIDsMax = 100_000
	// ReplicasDefault is how many replicas a topic has where there are nodes
	// enough.
	ReplicasDefault = 3
)

// Result is what a command came to.
type Result struct {
	// Revision is that of the state after the command.
	Revision uint64
	// Topic is what CreateTopic and AlterTopic left, DeleteTopic removed.
	Topic Topic
	// Epoch is what RegisterNode gave.
	Epoch uint64
	// FirstProducerID begins the block that AllocateProducerIDs gave.
	FirstProducerID int64
}

// Apply is the state after c. It changes nothing of s. A command that is
// refused leaves the state as it was, but for its ID, which is remembered; the error
// is a *codec.Error that the command's author gets.
func Apply(s State, c Command) (State, Result, error) {
	if r, known, err := s.recent(c.ID); known {
		return s, r, err
	}
	if c.Expect != 0 && c.Expect != s.Revision {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "the metadata is at revision %d, the command expects %d", s.Revision, c.Expect)
	}
	next, result, err := apply(s, c.Do)
	if err != nil {
		return s.remember(c.ID, Result{}, err), Result{}, err
	}
	next.Revision++
	result.Revision = next.Revision
	return next.remember(c.ID, result, nil), result, nil
}

func apply(s State, do Action) (State, Result, error) {
	switch do := do.(type) {
	case FoundCluster:
		return foundCluster(s, do)
	case RegisterNode:
		return registerNode(s, do)
	case AdmitNode:
		return admitNode(s, do)
	case RemoveNode:
		return removeNode(s, do)
	case ForgetNode:
		return forgetNode(s, do)
	case ChangeMetadata:
		return changeMetadata(s, do)
	case CreateTopic:
		return createTopic(s, do)
	case AlterTopic:
		return alterTopic(s, do)
	case Initialize:
		return initialize(s, do)
	case DeleteTopic:
		return deleteTopic(s, do)
	case ChangeReplicas:
		return changeReplicas(s, do)
	case ReplaceReplica:
		return replaceReplica(s, do)
	case TakeChange:
		return takeChange(s, do)
	case FinishChange:
		return finishChange(s, do)
	case Buried:
		return bury(s, do)
	case AllocateProducerIDs:
		return allocateProducerIDs(s, do)
	}
	panic("cluster: apply an action that is none")
}

func createTopic(s State, do CreateTopic) (State, Result, error) {
	if err := checkNew(s, do); err != nil {
		return s, Result{}, err
	}
	if do.Partitions < 1 || do.Partitions > PartitionsMax {
		return s, Result{}, partitionsError(do.Partitions)
	}
	replicas := do.Replicas
	if replicas == 0 {
		replicas = min(ReplicasDefault, s.active())
	}
	if s.active() == 0 {
		return s, Result{}, codec.Errorf(codec.Unavailable, "no broker is active")
	}
	if n := s.active(); replicas < 1 || replicas > n {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%d replicas: want 1 to %d, for so many brokers are active", replicas, n)
	}
	settings, err := DefaultSettings().With(do.Settings)
	if err != nil {
		return s, Result{}, err
	}
	if err := settings.check(replicas); err != nil {
		return s, Result{}, err
	}
	t := Topic{ID: do.ID, Name: do.Name, Settings: settings, Created: do.Now}
	s, t.Partitions = grow(s, nil, do.Partitions, replicas, do.Silent)
	return put(s, t)
}

// checkNew says whether do's name and id can be those of a new topic.
func checkNew(s State, do CreateTopic) error {
	if err := codec.CheckTopicName(do.Name); err != nil {
		return err
	}
	if strings.HasPrefix(string(do.Name), "__") {
		return codec.Errorf(codec.InvalidTopic, "topic name %q: names that begin with __ belong to the broker", clip(string(do.Name)))
	}
	if _, ok := s.Topics[do.Name]; ok {
		return codec.Errorf(codec.TopicExists, "topic %s exists", do.Name)
	}
	if do.ID == (codec.UUID{}) {
		return codec.Errorf(codec.InvalidArgument, "topic id %s means none", do.ID)
	}
	for _, t := range s.Topics {
		if t.ID == do.ID {
			return codec.Errorf(codec.InvalidArgument, "topic id %s is that of topic %s", do.ID, t.Name)
		}
	}
	return nil
}

func partitionsError(n int) error {
	return codec.Errorf(codec.InvalidArgument, "%d partitions: want 1 to %d", n, PartitionsMax)
}

// grow adds partitions until there are limit of them.
func grow(s State, old []Partition, limit, replicas int, silent []codec.NodeID) (State, []Partition) {
	all := slices.Clone(old)
	for _, nodes := range place(loads(s, silent), limit-len(old), replicas) {
		p := Partition{Group: s.NextGroup}
		s.NextGroup++
		for _, n := range nodes {
			p.Replicas = append(p.Replicas, Replica{ID: s.NextReplica, Node: n})
			s.NextReplica++
		}
		all = append(all, p)
	}
	return s, all
}

// put is s with t in it.
func put(s State, t Topic) (State, Result, error) {
	s.Topics = maps.Clone(s.Topics)
	s.Topics[t.Name] = t
	return s, Result{Topic: t}, nil
}

func alterTopic(s State, do AlterTopic) (State, Result, error) {
	t, ok := s.Topics[do.Name]
	if !ok {
		return s, Result{}, unknownTopic(do.Name)
	}
	replicas := do.Replicas
	if replicas == 0 {
		replicas = len(t.Partitions[0].Staying())
	} else if n := s.active(); replicas < 1 || replicas > n {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%d replicas: want 1 to %d, for so many brokers are active", replicas, n)
	}
	before := t.Settings
	var err error
	if t.Settings, err = t.Settings.With(do.Settings); err != nil {
		return s, Result{}, err
	}
	if err := t.checkPartitions(before); err != nil {
		return s, Result{}, err
	}
	switch n := len(t.Partitions); {
	case do.Partitions == 0 || do.Partitions == n:
	case do.Partitions < 0 || do.Partitions > PartitionsMax:
		return s, Result{}, partitionsError(do.Partitions)
	case do.Partitions < n:
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%d partitions: topic %s has %d, and their number only grows", do.Partitions, t.Name, n)
	default:
		s, t.Partitions = grow(s, t.Partitions, do.Partitions, min(replicas, s.active()), do.Silent)
	}
	if do.Replicas == 0 {
		return put(s, t)
	}
	if s, _, err = put(s, t); err != nil {
		return s, Result{}, err
	}
	return resize(s, t, do)
}

// checkPartitions says whether t's settings are allowed with the replicas of each
// of its partitions: they need not have the same number. One that is leaving has
// promised to keep what it acknowledged; a topic that is without that already may
// move.
func (t Topic) checkPartitions(before Settings) error {
	for _, p := range t.Partitions {
		replicas := len(p.Replicas)
		if before.Durability == t.Settings.Durability {
			replicas = len(p.Staying())
		}
		if err := t.Settings.check(replicas); err != nil {
			return err
		}
	}
	return nil
}

func initialize(s State, do Initialize) (State, Result, error) {
	made := make(map[codec.ReplicaID]bool, len(do.Replicas))
	for _, id := range do.Replicas {
		made[id] = true
	}
	s.Topics = maps.Clone(s.Topics)
	for name, t := range s.Topics {
		if p, changed := initialized(t.Partitions, made); changed {
			t.Partitions = p
			s.Topics[name] = t
		}
	}
	return s, Result{}, nil
}

// initialized is list with the replicas of made marked.
func initialized(list []Partition, made map[codec.ReplicaID]bool) (out []Partition, changed bool) {
	out = slices.Clone(list)
	for i, p := range out {
		for k, r := range p.Replicas {
			if !made[r.ID] || r.Initialized {
				continue
			}
			if &out[i].Replicas[0] == &list[i].Replicas[0] {
				out[i].Replicas = slices.Clone(p.Replicas)
			}
			changed = true
			out[i].Replicas[k].Initialized = true
		}
	}
	return out, changed
}

func unknownTopic(name codec.Topic) error {
	return codec.Errorf(codec.UnknownTopic, "no topic %q", clip(string(name)))
}

func deleteTopic(s State, do DeleteTopic) (State, Result, error) {
	t, ok := s.Topics[do.Name]
	if !ok {
		return s, Result{}, unknownTopic(do.Name)
	}
	s.Topics = maps.Clone(s.Topics)
	delete(s.Topics, do.Name)
	s.Tombstones = maps.Clone(s.Tombstones)
	for i, p := range t.Partitions {
		entomb(s.Tombstones, t, i, p.Replicas)
	}
	return s, Result{Topic: t}, nil
}

func bury(s State, do Buried) (State, Result, error) {
	if _, ok := s.Tombstones[do.Replica]; !ok {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "replica %d has no tombstone", do.Replica)
	}
	s.Tombstones = maps.Clone(s.Tombstones)
	delete(s.Tombstones, do.Replica)
	return s, Result{}, nil
}

func allocateProducerIDs(s State, do AllocateProducerIDs) (State, Result, error) {
	if do.Count < 1 || do.Count > ProducerIDsMax {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%d producer ids: want 1 to %d", do.Count, ProducerIDsMax)
	}
	first := s.NextProducerID
	if !codec.Mutant("producer-ids-again") {
		s.NextProducerID += do.Count
	}
	return s, Result{FirstProducerID: first}, nil
}
