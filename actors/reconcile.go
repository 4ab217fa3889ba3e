package actors

import (
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// reconcile makes up the difference between the published metadata and what
// is kept here. It may run at any time, any number of times.
func (k *keeper) reconcile() {
	s := k.published.Load()
	if s == nil || k.leaving != nil || !k.metadataServes() {
		return
	}
	me := codec.NodeID(k.id.Node)
	for _, a := range s.On(me) {
		k.keep(a)
	}
	for _, tomb := range s.Buriable(me) {
		k.bury(tomb)
	}
	k.initializeAll()
	k.publishTable(s)
	k.tellWaiting()
}

// keep takes one replica a step further.
func (k *keeper) keep(a cluster.Assignment) {
	tp, g := codec.TopicPartition{Topic: a.Topic, Partition: a.Number}, a.Group
	s := seat{group: g, id: a.Replica, name: tp.String(), dir: replicaDir(k.house.cfg.Dir, g, a.Replica), settings: settingsOf(a.Settings), members: a.Members}
	t := k.kept[g]
	if t == nil {
		t = &kept{handle: newHandle(k.house, tp, tp.String()), seat: s, phase: preparing}
		t.handle.set.Store(&s.settings)
		t.handle.members.Store(&s.members)
		k.kept[g], k.order = t, append(k.order, g)
		k.prepare(t, a.Initialized)
		return
	}
	if t.seat.settings != s.settings || !slices.Equal(t.seat.members, s.members) {
		t.seat.settings, t.seat.members = s.settings, s.members
		t.handle.set.Store(&s.settings)
		t.handle.members.Store(&s.members)
		if pid := t.handle.pid.Load(); pid != nil {
			k.house.send(pid, &configure{s.settings, s.members})
		}
	}
	if t.phase == initializing && a.Initialized {
		k.open(t)
	}
}

// prepare makes the directory of a replica that metadata does not yet know to
// exist. One that it knows must be there: an empty one in its place would be
// a replica that forgot what it promised.
func (k *keeper) prepare(t *kept, initialized bool) {
	if initialized {
		t.phase = initializing
		k.open(t)
		return
	}
	fs, s := k.house.fs, t.seat
	k.house.port.Lane(s.dir).Do(func() {
		there, err := wal.Exists(fs, s.dir)
		if err == nil && !there {
			err = wal.Create(fs, s.dir, newborn(s.group, s.id, s.members))
		}
		k.post(&prepared{s.group, err})
	})
}

func (k *keeper) prepared(m *prepared) {
	t := k.kept[m.group]
	if t == nil || t.phase != preparing {
		return
	}
	if m.err != nil {
		k.house.log.Error("cannot make a replica", "partition", t.seat.name, "error", m.err)
		if wal.IsFull(m.err) || wal.IsExhausted(m.err) {
			g := m.group
			k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(&prepareAgain{g}) })
		}
		t.err, t.phase = diskError(t.seat.name, m.err), open
		t.handle.publishState(state{write: diskError(t.seat.name, m.err), read: diskError(t.seat.name, m.err)})
		k.tellWaiting()
		return
	}
	t.phase = initializing
	t.err = errToldNobody
	k.initializeAll()
}

// prepareAgain tries to make a replica for which there was no room.
func (k *keeper) prepareAgain(m *prepareAgain) {
	if t := k.kept[m.group]; t != nil && t.handle.pid.Load() == nil && t.phase == open && k.leaving == nil {
		t.phase, t.err = preparing, nil
		k.prepare(t, false)
	}
}

// errToldNobody marks a replica whose directory exists, unknown to metadata.
var errToldNobody = fmt.Errorf("metadata is not told yet")

func diskError(name string, err error) *codec.Error {
	code := codec.DiskFailed
	if wal.IsFull(err) {
		code = codec.DiskFull
	} else if wal.IsExhausted(err) {
		code = codec.Overloaded
	}
	return codec.Errorf(code, "%s: %v", name, err)
}

// initializeAll tells metadata of the directories that were made, once all
// that are being made are done: one entry for many.
func (k *keeper) initializeAll() {
	var ids []codec.ReplicaID
	var groups []codec.GroupID
	for _, g := range k.order {
		t := k.kept[g]
		if t.phase == preparing {
			return
		}
		if t.phase == initializing && t.err == errToldNobody {
			ids, groups = append(ids, t.seat.id), append(groups, g)
		}
	}
	if len(ids) == 0 {
		return
	}
	for _, g := range groups {
		k.kept[g].err = nil
	}
	k.house.decide(cluster.Initialize{Replicas: ids}, func(_ cluster.Result, err error) {
		k.post(&initialized{groups, err})
	})
}

// initialized opens the replicas when metadata has been told; when it could
// not be, it is told again.
func (k *keeper) initialized(m *initialized) {
	if m.err == nil {
		return // the new state opens them
	}
	for _, g := range m.groups {
		if t := k.kept[g]; t != nil && t.phase == initializing {
			t.err = errToldNobody
		}
	}
	k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(metadataChanged{}) })
}

// open starts the body of a replica whose directory exists.
func (k *keeper) open(t *kept) {
	t.phase, t.err = opening, nil
	k.spawn(t, fmt.Sprintf("partition-%d", t.seat.group))
}

// bury removes what a tombstone says may go, then says that it is gone.
func (k *keeper) bury(tomb cluster.Tombstone) {
	t := k.kept[tomb.Group]
	if t == nil {
		t = &kept{handle: newHandle(k.house, codec.TopicPartition{}, "deleted partition"), seat: seat{group: tomb.Group, id: tomb.Replica, name: "deleted partition", dir: replicaDir(k.house.cfg.Dir, tomb.Group, tomb.Replica)}}
		k.kept[tomb.Group], k.order = t, append(k.order, tomb.Group)
	}
	if t.phase == leavingForGood {
		return
	}
	t.phase = leavingForGood
	done := func(err error) { k.post(&buried{tomb.Group, err}) }
	if pid := t.handle.pid.Load(); pid != nil {
		k.house.send(pid, &burying{done})
		return
	}
	fs, dir := k.house.fs, t.seat.dir
	k.house.port.Lane(dir).Do(func() { done(wal.Delete(fs, dir)) })
}

// buried tells metadata that a tombstone's data is gone. An error leaves the
// tombstone: the next start tries again.
func (k *keeper) buried(m *buried) {
	t := k.kept[m.group]
	if m.err != nil {
		k.house.log.Error("cannot remove a deleted replica", "partition", t.seat.name, "error", m.err)
		return
	}
	if pid := t.handle.pid.Swap(nil); pid != nil {
		// What stands in a mailbox behind the end of its actor is never answered,
		// so the end comes when nobody can be sending any more.
		k.house.clock.After(dismissAfter, func() { k.post(&dismiss{pid}) })
	}
	delete(k.kept, m.group)
	for i := range k.order {
		if k.order[i] == m.group {
			k.order = append(k.order[:i], k.order[i+1:]...)
			break
		}
	}
	k.house.decide(cluster.Buried{Replica: t.seat.id}, func(_ cluster.Result, err error) {
		if err != nil {
			k.house.log.Warn("a tombstone stays until the next start", "partition", t.seat.name, "error", err)
		}
	})
}

// publishTable shows callers which partitions there are.
func (k *keeper) publishTable(s *cluster.State) {
	next := &table{parts: make(map[codec.TopicPartition]*Handle), groups: map[codec.GroupID]*Handle{codec.MetadataGroup: k.meta}}
	for _, a := range s.On(codec.NodeID(k.id.Node)) {
		if t := k.kept[a.Group]; t != nil {
			next.parts[codec.TopicPartition{Topic: a.Topic, Partition: a.Number}] = t.handle
			next.groups[a.Group] = t.handle
		}
	}
	k.table.Store(next)
}

// settingsOf is what a partition needs of its topic's settings.
func settingsOf(s cluster.Settings) settings {
	return settings{
		segmentBytes: s.SegmentBytes, messageBytesMax: int(s.MessageBytesMax), noSync: s.Durability == cluster.OS,
		retentionTime: max(0, s.RetentionTime), retentionBytes: max(0, s.RetentionBytes),
	}
}
