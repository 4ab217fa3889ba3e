package cluster

import (
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// A partition's replicas change in steps. ChangeReplicas or
// ReplaceReplica says where they are to be: new ones join, others are leaving
// and stay as long as consensus needs them. The partition's leader then takes
// its group from the one configuration to the other: it says so with TakeChange,
// so that what it does is towards the newest change, and nobody who led before
// it may end that. FinishChange says that it is there, and only then do the
// leaving ones get a tombstone.

// changeReplicas says where a partition's replicas are to be. What is on its
// way out comes back when its node is named again.
func changeReplicas(s State, do ChangeReplicas) (State, Result, error) {
	t, n, err := s.partition(do.Group)
	if err != nil {
		return s, Result{}, err
	}
	if err := checkTargets(s, t, do.Nodes); err != nil {
		return s, Result{}, err
	}
	if !slices.ContainsFunc(t.Partitions[n].Replicas, func(r Replica) bool { return r.Initialized }) {
		return refound(s, t, n, do.Nodes)
	}
	p := t.Partitions[n].begun()
	left := slices.Clone(p.Replicas)
	var next []Replica
	for _, node := range do.Nodes {
		if r, ok := newestOn(left, node); ok {
			left = slices.DeleteFunc(left, func(o Replica) bool { return o.ID == r.ID })
			r.Leaving = false
			next = append(next, r)
			continue
		}
		if codec.Mutant("replica-id-again") && len(left) > 0 {
			next = append(next, Replica{ID: left[0].ID, Node: node, Joins: true})
			left = left[1:]
			continue
		}
		next = append(next, Replica{ID: s.NextReplica, Node: node, Joins: true})
		s.NextReplica++
	}
	for _, r := range left {
		r.Leaving = true
		next = append(next, r)
	}
	if slices.Equal(next, t.Partitions[n].Replicas) {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "the replicas of %s/%d are on these nodes already", t.Name, n)
	}
	p.Replicas, p.Change = next, s.Revision+1
	return putPartition(s, t, n, p)
}

// refound places a partition anew of which no node has said yet that it has a
// replica. None was ever opened, and there is nothing to copy: those that come
// are the first ones, and nothing of the others counts.
func refound(s State, t Topic, n int, nodes []codec.NodeID) (State, Result, error) {
	p := t.Partitions[n]
	s.Tombstones = maps.Clone(s.Tombstones)
	entomb(s.Tombstones, t, n, p.Replicas)
	p.Replicas = nil
	for _, node := range nodes {
		p.Replicas = append(p.Replicas, Replica{ID: s.NextReplica, Node: node})
		s.NextReplica++
	}
	return putPartition(s, t, n, p)
}

// entomb leaves tombstones for replicas of a topic's n-th partition.
func entomb(tombs map[codec.ReplicaID]Tombstone, t Topic, n int, list []Replica) {
	for _, r := range list {
		tombs[r.ID] = Tombstone{Group: t.Partitions[n].Group, Replica: r.ID, Node: r.Node, Topic: t.Name, TopicID: t.ID, Partition: codec.Partition(n)}
	}
}

func checkTargets(s State, t Topic, nodes []codec.NodeID) error {
	if n := s.active(); len(nodes) == 0 || len(nodes) > n {
		return codec.Errorf(codec.InvalidArgument, "%d replicas: want 1 to %d, for so many brokers are active", len(nodes), n)
	}
	for i, node := range nodes {
		n, ok := s.Nodes[node]
		if !ok {
			return codec.Errorf(codec.InvalidArgument, "no node %q in this cluster", clip(string(node)))
		}
		if !n.Active() {
			return codec.Errorf(codec.InvalidArgument, "node %q has not registered yet, or is being removed", node)
		}
		if slices.Contains(nodes[:i], node) {
			return codec.Errorf(codec.InvalidArgument, "node %q is named twice", clip(string(node)))
		}
	}
	return t.Settings.check(len(nodes))
}

// replaceReplica lets a new replica join in the place of one whose data is
// lost. It never comes back: the new one on its node has a later id.
func replaceReplica(s State, do ReplaceReplica) (State, Result, error) {
	for _, name := range slices.Sorted(maps.Keys(s.Topics)) {
		t := s.Topics[name]
		for n, p := range t.Partitions {
			at := slices.IndexFunc(p.Replicas, func(r Replica) bool { return r.ID == do.Replica })
			if at < 0 {
				continue
			}
			old := p.Replicas[at]
			if old.Leaving {
				return s, Result{}, codec.Errorf(codec.InvalidArgument, "replica %d of %s/%d is leaving already", old.ID, t.Name, n)
			}
			if len(p.Staying()) < 2 {
				return s, Result{}, codec.Errorf(codec.InvalidArgument, "replica %d is all that there is of %s/%d: nothing can take its place", old.ID, t.Name, n)
			}
			p = p.begun()
			p.Replicas[at] = Replica{ID: s.NextReplica, Node: old.Node, Joins: true}
			old.Leaving = true
			p.Replicas, p.Change = append(p.Replicas, old), s.Revision+1
			s.NextReplica++
			return putPartition(s, t, n, p)
		}
	}
	return s, Result{}, codec.Errorf(codec.InvalidArgument, "there is no replica %d", do.Replica)
}

// takeChange notes whose it is to say that a change is done. Who takes it on has
// seen all changes before, for it knows the one under way; and what it finds in
// its group none that led before can alter any more.
func takeChange(s State, do TakeChange) (State, Result, error) {
	t, n, err := s.partition(do.Group)
	if err != nil {
		return s, Result{}, err
	}
	p := t.Partitions[n]
	if p.Change == 0 || p.Change != do.Change {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%s/%d is at change %d, not %d", t.Name, n, p.Change, do.Change)
	}
	if do.Term < p.Term {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%s/%d is led in term %d, not %d", t.Name, n, p.Term, do.Term)
	}
	p.Term = do.Term
	return putPartition(s, t, n, p)
}

// finishChange leaves a tombstone for each replica that was leaving. An older
// change than the one under way says nothing: the configuration may have come
// back to what it was.
func finishChange(s State, do FinishChange) (State, Result, error) {
	t, n, err := s.partition(do.Group)
	if err != nil {
		return s, Result{}, err
	}
	p := t.Partitions[n]
	if p.Change == 0 || p.Change != do.Change {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%s/%d is at change %d, not %d", t.Name, n, p.Change, do.Change)
	}
	if p.Term != do.Term {
		return s, Result{}, codec.Errorf(codec.InvalidArgument, "%s/%d is led in term %d, not %d", t.Name, n, p.Term, do.Term)
	}
	s.Tombstones = maps.Clone(s.Tombstones)
	entomb(s.Tombstones, t, n, slices.DeleteFunc(slices.Clone(p.Replicas), func(r Replica) bool { return !r.Leaving }))
	p.Replicas, p.Change = p.Staying(), 0
	return putPartition(s, t, n, p)
}

// partition is the topic and the number of a group's partition.
func (s State) partition(g codec.GroupID) (Topic, int, error) {
	for _, t := range s.Topics {
		for i, p := range t.Partitions {
			if p.Group == g {
				return t, i, nil
			}
		}
	}
	return Topic{}, 0, codec.Errorf(codec.UnknownPartition, "no partition has group %d", g)
}

// putPartition is s with p as the n-th partition of t.
func putPartition(s State, t Topic, n int, p Partition) (State, Result, error) {
	t.Partitions = slices.Clone(t.Partitions)
	t.Partitions[n] = p
	return put(s, t)
}

// begun is p with a list of replicas of its own, at the beginning of a change.
// One that has no directory yet is not to be made as one of the first any more,
// for who those were cannot be seen from now on.
func (p Partition) begun() Partition {
	p.Replicas = slices.Clone(p.Replicas)
	for i := range p.Replicas {
		r := &p.Replicas[i]
		r.Joins = r.Joins || !r.Initialized
	}
	return p
}

// Staying are the replicas that are not leaving, the preferred leader first.
func (p Partition) Staying() []Replica {
	return slices.DeleteFunc(slices.Clone(p.Replicas), func(r Replica) bool { return r.Leaving })
}

// newestOn is the replica with the latest id on a node. Older ones on it have
// been replaced.
func newestOn(list []Replica, node codec.NodeID) (newest Replica, ok bool) {
	for _, r := range list {
		if r.Node == node && r.ID > newest.ID {
			newest, ok = r, true
		}
	}
	return newest, ok
}
