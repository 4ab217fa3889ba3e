package actors

import (
	"slices"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// A broker that comes back begins with metadata as they were. They may want a replica
// that has been removed since, whose tombstone is gone too: it is made again, and nothing
// would ever remove it. It has done nothing yet, for a replica is opened only when the
// metadata were told that it is made; and they say then that they do not know it.

// unmade is the end of an attempt to remove such a replica.
type unmade struct {
	group   codec.GroupID
	replica codec.ReplicaID
	err     error
}

// unmakeUnknown removes what was made here, and what the metadata that were told so do
// not know. Ids of replicas are given once, so they never will.
func (k *keeper) unmakeUnknown(m *initialized) {
	s := k.published.Load()
	if s == nil || s.Revision < m.revision {
		k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(m) })
		return
	}
	due := s.On(k.house.node)
	for _, g := range m.groups {
		t := k.kept[g]
		if t == nil || t.phase != initializing || t.err != nil {
			continue
		}
		_, buriable := s.Tombstones[t.seat.id]
		if buriable || slices.ContainsFunc(due, func(a cluster.Assignment) bool { return a.Replica == t.seat.id }) {
			continue
		}
		t.phase = leavingForGood
		k.unmake(g, t.seat.id)
	}
}

// unmake may be called from anywhere: what comes of it is told by a message.
func (k *keeper) unmake(g codec.GroupID, r codec.ReplicaID) {
	fs, dir := k.house.fs, replicaDir(k.house.cfg.Dir, g, r)
	k.house.port.Lane(dir).Do(func() { k.post(&unmade{g, r, wal.Delete(fs, dir)}) })
}

// unmade forgets a replica that was removed. For one that could not be, no other of its
// group is made here before the next start; where only room is missing, it is tried again.
func (k *keeper) unmade(m *unmade) {
	if k.namesFailed(m.err) {
		return
	}
	if m.err != nil {
		k.house.log.Error("cannot remove a replica that was made in vain", "group", m.group, "replica", m.replica, "error", m.err)
		if wal.IsFull(m.err) || wal.IsExhausted(m.err) {
			k.house.clock.After(k.house.jitter(retryEvery), func() { k.unmake(m.group, m.replica) })
		}
		return
	}
	k.house.port.Forget(replicaDir(k.house.cfg.Dir, m.group, m.replica))
	if t := k.kept[m.group]; t != nil && t.seat.id == m.replica {
		k.forget(m.group)
	}
	k.reconcile() // another replica of the group may be due here
}
