package actors

import (
	"fmt"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// open has the log opened, behind whoever still holds it.
func (p *Partition) open() {
	p.results = make(map[codec.Index]any)
	p.disk.house, p.disk.post, p.disk.nextLife = p.house, p.post, p.pub.nextLife
	p.disk.lane = p.house.port.Lane(p.seat.dir)
	if p.pub.closing.Load() {
		p.leave(codec.Errorf(codec.Stopping, "the broker is stopping"))
		return
	}
	p.pub.publishState(state{write: unavailable(p.seat.name), read: unavailable(p.seat.name)})
	p.reopen()
	p.born = p.disk.life
	p.houseworkLater()
}

// reopen begins another life of the log.
func (p *Partition) reopen() {
	p.disk.life = p.disk.nextLife()
	life, way := p.disk.life, &onItsWay{}
	p.disk.opening = way
	r := &rebuild{fs: p.house.fs, seat: p.seat, opts: p.options()}
	p.disk.lane.Do(func() {
		m := &opened{}
		if err := wal.Guard(func() error { m = r.run(); return m.err }); m.err == nil {
			m.err = err
		}
		if m.found != nil {
			way.log = m.found.Log
		}
		m.life, m.opts = life, r.opts
		p.post(m)
	})
}

// rebuild opens a log on the disk port, and derives from its committed
// entries what is not stored: the table of producers and the start.
type rebuild struct {
	fs   wal.FS
	seat seat

	opts wal.Options

	table *replica.Producers
	known codec.Index // what table knows of
	confs []codec.Index
	start codec.Offset
}

func (r *rebuild) run() *opened {
	var committed []codec.Descriptor
	var indexes []codec.Index
	found, err := wal.Open(r.fs, r.seat.dir, r.opts, func(e *wal.Entry) {
		if start, ok, err := codec.ParseStartEntry(e.Data); ok && err == nil && e.Type == 0 {
			r.start = max(r.start, start)
		}
		if e.Type != 0 {
			r.confs = append(r.confs, e.Index)
		}
		run, ok, _ := codec.ParseBatchEntry(e.Data)
		if !ok || e.Type != 0 {
			return
		}
		for i := range run.Len() {
			if d := run.At(i); d.ProducerID >= 0 {
				committed, indexes = append(committed, d), append(indexes, e.Index)
			}
		}
	})
	if err != nil {
		return &opened{err: err}
	}
	r.table = replica.NewProducers()
	r.known = found.Hard.Commit
	from := codec.Index(0)
	if found.Snapshot != nil && r.seat.machine == nil {
		s, err := replica.ParseSnapshot(found.Snapshot.Data)
		if err != nil {
			return &opened{found: found, err: &wal.Corrupt{File: r.seat.dir, At: -1, Why: err.Error()}}
		}
		r.table, from = s.Producers, max(s.ProducersAsOf, found.Snapshot.Index)
		r.known = max(r.known, from)
	}
	for i, d := range committed {
		if indexes[i] > from {
			r.table.Apply(d)
		}
	}
	return &opened{found: found, table: r.table, known: r.known, confs: r.confs, start: r.start}
}

// opened begins a life: the mind starts on what the disk has.
func (p *Partition) opened(m *opened) {
	if m.life != p.disk.life {
		return // whoever began another life has seen to the log
	}
	if m.err != nil {
		p.diskTrouble(m.err)
		return
	}
	if m.found.Cut > 0 {
		p.house.tallies.cuts.Add(1)
		p.house.seen(SeenTornEnd)
		p.house.tallies.cutEntries.Add(int64(m.found.Cut))
		p.house.log.Info("the end of a log was cut: it was not acknowledged", "partition", p.seat.name, "entries", m.found.Cut)
	}
	for _, what := range m.found.Mended {
		p.house.seen(SeenMended)
		p.house.log.Warn("a file of a replica was mended from its copy", "partition", p.seat.name, "replica", p.seat.id, "what", what)
	}
	p.disk.log, p.disk.index, p.disk.opening = m.found.Log, m.found.Index, nil
	p.disk.index.SetStart(m.start)
	p.sick, p.trouble, p.serving, p.wrote = codec.OK, nil, false, true
	p.pub.edge.Store(nil)
	p.pub.seeking.Store(false) // whoever sought it before is gone
	if err := p.begin(m); err != nil {
		p.quarantine(err)
		return
	}
	if m.opts != p.options() {
		p.reconfigure()
	}
	if p.pub.view.Load() == nil {
		// What is known to be committed may be read before anything can be
		// written: a full disk must not keep readers out.
		p.publish()
		p.pub.publishState(state{open: true, write: unavailable(p.seat.name)})
	}
	// What the log itself proves to be decided is applied first: nobody stands before.
	p.carryOut(p.mind.Take())
	if p.mind != nil && p.stands() {
		p.mind.Campaign()
		p.carryOut(p.mind.Take())
	}
}

// stands says whether this replica asks to lead as soon as it is open: one that
// is alone does, and of several the preferred one. If there is a leader, the
// others do not let themselves be disturbed.
func (p *Partition) stands() bool {
	return !p.replicated() || len(p.seat.members) > 0 && p.seat.members[0].ID == p.seat.id
}

// options are the log's, as the topic's settings have them. While there are
// others, on the way from one node to another, each entry is fsynced: what a
// replica acknowledges to another it may not forget.
func (p *Partition) options() wal.Options {
	noSync := p.seat.settings.noSync && !p.replicated()
	return wal.Options{SegmentBytes: p.seat.settings.segmentBytes, NoSync: noSync, WALFileBytes: p.house.cfg.Ports.WALFileBytes}
}

// begin makes the mind, and the machine as of the snapshot.
func (p *Partition) begin(m *opened) error {
	h, x := m.found.Hard, m.found.Index
	x.Commit(h.Commit)
	applied := max(h.Commit, h.Before)
	for _, at := range m.confs {
		// The configuration may have been decided and not yet written down when
		// the log was closed: then it is applied again.
		if at > h.ConfAsOf {
			applied = min(applied, at-1)
			p.house.seen(SeenConfApplied)
			break
		}
	}
	if p.seat.machine != nil {
		at, err := p.restore(m.found)
		if err != nil {
			return err
		}
		applied = at
		p.machine.settled()
		p.regroup()
	}
	p.conf = replica.ConfChange{Index: h.ConfAsOf, State: h.Conf}
	p.store = &storage{hard: h, index: x, whole: p.replicated, snapshot: p.snapshot}
	p.payloads, p.reading, p.mute, p.given = payloads{}, nil, false, x.Last()
	p.changing, p.joining = changing{}, nil
	var err error
	p.mind, err = replica.New(replica.Config{
		Group: p.seat.group, ID: p.seat.id, Storage: p.store, Applied: applied,
		ConfAsOf: h.ConfAsOf, Next: x.Next(), AppendTime: x.AppendTime(), StartTime: h.AppendTime,
		Producers: m.table, ProducersAsOf: m.known,
		Log: raftLog{p.house.log, p.seat.name},
	})
	if err != nil {
		return &wal.Corrupt{File: p.seat.dir, At: -1, Why: err.Error()}
	}
	return nil
}

// restore brings the machine to its newest snapshot; the entries behind it
// are applied as consensus finds them committed.
func (p *Partition) restore(found *wal.Opened) (applied codec.Index, err error) {
	p.machine = p.seat.machine()
	s := found.Snapshot
	if s == nil {
		if found.Hard.Before > 1 {
			return 0, &wal.Corrupt{File: p.seat.dir, At: -1, Why: fmt.Sprintf("the log begins at entry %d and there is no snapshot", found.Hard.Before+1)}
		}
		p.snapped = wal.Snapshot{Index: found.Hard.Before, Term: found.Hard.BeforeTerm, Data: replica.Snapshot{State: p.machine.snapshot()}.Encode(nil)}
		return found.Hard.Before, nil
	}
	parsed, err := replica.ParseSnapshot(s.Data)
	if err == nil {
		err = p.machine.restore(parsed.State)
	}
	if err != nil {
		return 0, &wal.Corrupt{File: p.seat.dir, At: -1, Why: fmt.Sprintf("snapshot of entry %d: %v", s.Index, err)}
	}
	p.snapAt, p.snapped = s.Index, *s
	return s.Index, nil
}
