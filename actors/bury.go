package actors

import (
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// buried is the end of an attempt to remove a replica's data.
type buried struct {
	group   codec.GroupID
	replica codec.ReplicaID
	err     error
}

// entombed says whether the metadata was told that the data is gone.
type entombed struct {
	group   codec.GroupID
	replica codec.ReplicaID
	err     error
}

// superseded says that a replica was ended because another takes its place.
type superseded struct {
	group   codec.GroupID
	replica codec.ReplicaID
}

// bury removes what a tombstone says may go, then says that it is gone.
func (k *keeper) bury(tomb cluster.Tombstone) {
	done := func(err error) { k.post(&buried{tomb.Group, tomb.Replica, err}) }
	if t := k.kept[tomb.Group]; t != nil && t.seat.id == tomb.Replica {
		if t.phase == leavingForGood {
			return
		}
		t.phase = leavingForGood
		if pid := t.handle.pid.Load(); pid != nil {
			k.house.send(pid, &burying{why: k.epitaph(tomb, t), done: done})
			return
		}
	} else if k.burying[tomb.Replica] {
		return
	}
	k.burying[tomb.Replica] = true
	k.remove(tomb.Group, tomb.Replica)
}

// remove takes the data of a replica away that nobody holds any more.
func (k *keeper) remove(g codec.GroupID, r codec.ReplicaID) {
	fs, dir := k.house.fs, replicaDir(k.house.cfg.Dir, g, r)
	k.house.port.Lane(dir).Do(func() { k.post(&buried{g, r, wal.Delete(fs, dir)}) })
}

// epitaph is what those are told who come to a replica that is gone. Its topic
// may be there still: then they are to go where it has moved.
func (k *keeper) epitaph(tomb cluster.Tombstone, t *kept) *codec.Error {
	if k.published.Load().Topics[tomb.Topic].ID != tomb.TopicID {
		return codec.Errorf(codec.UnknownTopic, "topic of %s was deleted", t.seat.name)
	}
	return t.handle.elsewhere(codec.Errorf(codec.Unavailable, "%s has no replica here any more", t.seat.name))
}

// buried tells metadata that a tombstone's data is gone. An error of the disk
// leaves the tombstone: the next start tries again. A disk without room is tried
// again soon, for to remove data is what makes room.
func (k *keeper) buried(m *buried) {
	if k.namesFailed(m.err) {
		return
	}
	if m.err != nil {
		k.house.log.Error("cannot remove a deleted replica", "group", m.group, "replica", m.replica, "error", m.err)
		if wal.IsFull(m.err) || wal.IsExhausted(m.err) {
			k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(&removeAgain{m.group, m.replica}) })
		}
		return
	}
	k.burying[m.replica] = true // until the tombstone is gone
	if t := k.kept[m.group]; t != nil && t.seat.id == m.replica {
		k.dismissLater(t)
		k.forget(m.group)
	}
	k.house.decide(cluster.Buried{Replica: m.replica}, func(_ cluster.Result, err error) {
		k.post(&entombed{m.group, m.replica, err})
	})
}

// entombed is the end of telling the metadata, which is told again if need be.
func (k *keeper) entombed(m *entombed) {
	delete(k.burying, m.replica)
	k.house.port.Forget(replicaDir(k.house.cfg.Dir, m.group, m.replica))
	if m.err == nil {
		k.reconcile() // another replica of the group may be due here
		return
	}
	k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(metadataChanged{}) })
}

// supersede ends a replica whose place on this node another takes. Its data
// stays until there is a tombstone.
func (k *keeper) supersede(t *kept) {
	if t.phase == leavingForGood {
		return
	}
	t.phase = leavingForGood
	m := &superseded{t.seat.group, t.seat.id}
	if pid := t.handle.pid.Load(); pid != nil {
		why := codec.Errorf(codec.Unavailable, "this replica of %s is being replaced", t.seat.name)
		k.house.send(pid, &burying{keep: true, why: why, done: func(error) { k.post(m) }})
		return
	}
	k.superseded(m)
}

// superseded makes room for the other one, which has the same handle.
func (k *keeper) superseded(m *superseded) {
	t := k.kept[m.group]
	if t == nil || t.seat.id != m.replica {
		return
	}
	if t.healing == m.replica {
		k.house.seen(SeenHealed)
	}
	k.dismissLater(t)
	t.phase = replaced
	t.handle.view.Store(nil)
	t.handle.inSync.Store(nil)
	k.reconcile()
}

// dismissLater ends the actor of a replica. What stands in a mailbox behind the
// end of its actor is never answered, so the end comes when nobody can be
// sending any more.
func (k *keeper) dismissLater(t *kept) {
	if pid := t.handle.pid.Swap(nil); pid != nil {
		k.house.clock.After(dismissAfter, func() { k.post(&dismiss{pid}) })
	}
}

// forget takes a replica off the list.
func (k *keeper) forget(g codec.GroupID) {
	delete(k.kept, g)
	for i := range k.order {
		if k.order[i] == g {
			k.order = append(k.order[:i], k.order[i+1:]...)
			return
		}
	}
}
