package actors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// reconcile makes up the difference between the published metadata and what
// is kept here. It may run at any time, any number of times.
func (k *keeper) reconcile() {
	s := k.published.Load()
	if s != nil && codec.Mutant("tombstone-not-looked-at") {
		k.removeUnknown(s)
	}
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

// removeUnknown is the bug of a mutant: what the metadata does not mention is
// removed, though nothing says that it may be.
func (k *keeper) removeUnknown(s *cluster.State) {
	names, _ := k.house.fs.ReadDir(k.house.cfg.Dir)
	for _, e := range names {
		var g codec.GroupID
		var r codec.ReplicaID
		if n, _ := fmt.Sscanf(e.Name, "g%d-r%d", &g, &r); n < 2 || g == codec.MetadataGroup || strings.Contains(e.Name, ".") ||
			slices.ContainsFunc(s.On(k.house.node), func(a cluster.Assignment) bool { return a.Replica == r }) {
			continue
		}
		fs, dir := k.house.fs, replicaDir(k.house.cfg.Dir, g, r)
		k.house.port.Lane(dir).Do(func() { _ = wal.Delete(fs, dir) })
	}
}

// keep takes one replica a step further.
func (k *keeper) keep(a cluster.Assignment) {
	tp, g := codec.TopicPartition{Topic: a.Topic, Partition: a.Number}, a.Group
	s := seat{group: g, id: a.Replica, name: tp.String(), dir: replicaDir(k.house.cfg.Dir, g, a.Replica), settings: settingsOf(a.Settings), members: a.Members, change: a.Change, joins: a.Joins}
	all := &members{a.Members, a.Change}
	t := k.kept[g]
	if t == nil {
		t = &kept{handle: newHandle(k.house, tp, tp.String()), seat: s, phase: preparing}
		t.handle.set.Store(&s.settings)
		t.handle.members.Store(all)
		k.kept[g], k.order = t, append(k.order, g)
		k.prepare(t, a.Initialized)
		return
	}
	if t.seat.id != s.id && t.phase != replaced {
		k.supersede(t)
		return
	}
	if t.seat.id != s.id {
		t.seat, t.phase, t.err = s, preparing, nil
		t.handle.set.Store(&s.settings)
		t.handle.members.Store(all)
		k.prepare(t, a.Initialized)
		return
	}
	if t.seat.settings != s.settings || t.seat.change != s.change || !slices.Equal(t.seat.members, s.members) {
		t.seat.settings, t.seat.members, t.seat.change = s.settings, s.members, s.change
		t.handle.set.Store(&s.settings)
		t.handle.members.Store(all)
		if pid := t.handle.pid.Load(); pid != nil {
			k.house.send(pid, &configure{s.settings, all})
		}
		k.heal(t) // there may be others now to copy it from
	}
	t.seat.joins = a.Joins // should its directory still have to be made
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
			err = wal.Create(fs, s.dir, newborn(s.group, s.id, s.members, s.joins))
		}
		k.post(&prepared{s.group, s.id, err})
	})
}

func (k *keeper) prepared(m *prepared) {
	t := k.kept[m.group]
	if t == nil || t.seat.id != m.replica || t.phase != preparing || k.namesFailed(m.err) {
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

// namesFailed ends the broker when an fsync of the data directory failed. What it makes
// there from now on may be gone after a power cut, and it would have promised that it is
// not; the next process begins with what there is.
func (k *keeper) namesFailed(err error) bool {
	if !wal.IsNamesFailed(err) {
		return false
	}
	err = fmt.Errorf("data directory %s: %w", k.house.cfg.Dir, err)
	k.house.fail(err)
	k.start(err) // who waits for the start hears of it there
	return true
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
	k.house.decide(cluster.Initialize{Replicas: ids}, func(r cluster.Result, err error) {
		k.post(&initialized{groups, r.Revision, err})
	})
}

// initialized opens the replicas when metadata has been told; when it could
// not be, it is told again.
func (k *keeper) initialized(m *initialized) {
	if m.err == nil {
		k.unmakeUnknown(m) // the new state opens the others
		return
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
	k.spawn(t, fmt.Sprintf("partition-%d-%d", t.seat.group, t.seat.id))
}

// publishTable shows callers which partitions there are.
func (k *keeper) publishTable(s *cluster.State) {
	next := &table{parts: make(map[codec.TopicPartition]*Handle), groups: map[codec.GroupID]*Handle{codec.MetadataGroup: k.meta}, fars: make(map[codec.TopicPartition]*Far)}
	for _, a := range s.On(codec.NodeID(k.id.Node)) {
		if t := k.kept[a.Group]; t != nil {
			tp := codec.TopicPartition{Topic: a.Topic, Partition: a.Number}
			next.parts[tp] = t.handle
			next.fars[tp] = &Far{house: k.house, tp: tp, group: a.Group, near: t.handle}
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
