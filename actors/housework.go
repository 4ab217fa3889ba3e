package actors

import (
	"cmp"
	"math"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// housework is what a replica does from time to time: it gives up on a disk
// that hangs, writes its recovery point down, and proposes a new start.
func (p *Partition) housework() {
	if p.disk.closed {
		return
	}
	p.houseworkLater()
	if p.mind == nil {
		return
	}
	p.giveUpOnDisk()
	p.rest()
	p.retain()
}

func (p *Partition) houseworkLater() {
	m := housework{p.born}
	p.house.clock.After(p.house.jitter(houseworkEvery), func() { p.post(m) })
}

// giveUpOnDisk tells those who wait for a disk that hangs that the outcome is
// not known. Should the disk answer after all, the replica goes on.
func (p *Partition) giveUpOnDisk() {
	if p.disk.oldest(p.house.clock.Now()) <= codec.Millis(stallAfter.Milliseconds()) {
		return
	}
	p.house.log.Error("the disk does not answer", "partition", p.seat.name, "after", stallAfter)
	p.requests.failAll(codec.Errorf(codec.Unknown, "the disk of %s has not answered for %s: the batch may or may not be in the log", p.seat.name, stallAfter))
}

// rest writes the recovery point and the commit index down when something was
// written since, under load too: a start after a crash goes over what lies
// behind them.
func (p *Partition) rest() {
	if !p.wrote {
		return
	}
	p.wrote = len(p.disk.writing) > 0
	commit := p.mind.Commit()
	p.disk.step("rest", func(l *wal.Log) error { return l.Rest(commit) }, nil)
}

// retain proposes a new start when the topic's settings say so. What lies
// below the start goes once it is committed.
func (p *Partition) retain() {
	if p.machine != nil {
		return
	}
	if !p.serving {
		if codec.Mutant("local-retention") {
			p.disk.index.SetStart(p.disk.index.View().HighWatermark())
			p.publish()
		}
		p.dropBelowStart() // the leader says where the log begins
		return
	}
	s := p.seat.settings
	oldest := codec.Millis(math.MinInt64)
	if s.retentionTime > 0 {
		oldest = p.house.clock.Now() - s.retentionTime
	}
	start := p.disk.index.RetentionStart(oldest, s.retentionBytes)
	if codec.Mutant("unexpired-goes") {
		start = p.disk.index.View().HighWatermark()
	}
	if start > p.disk.index.Start() {
		p.propose(&propose{data: codec.AppendStartEntry(nil, start), reply: func(_ any, err error) {
			if err == nil {
				p.dropBelowStart()
			}
		}})
		return
	}
	p.dropBelowStart()
}

// dropBelowStart removes whole segments below the committed start. What the
// producers did in them is kept in a snapshot first.
func (p *Partition) dropBelowStart() {
	if p.disk.log == nil || p.mind == nil {
		return
	}
	d := p.disk.index.Drop(p.keepFor())
	if d == nil {
		return
	}
	p.pub.view.Store(p.disk.index.View())
	at := p.disk.index.Committed()
	term, _ := p.disk.index.Term(at)
	snap := wal.Snapshot{Index: at, Term: term, Data: replica.Snapshot{
		Next: p.disk.index.View().HighWatermark(), AppendTime: p.disk.index.AppendTime(), Producers: p.mind.Producers(),
	}.Encode(nil)}
	p.disk.step("retention", func(l *wal.Log) error {
		if _, err := l.WriteSnapshot(snap); err != nil {
			return err
		}
		return l.Retain(d)
	}, nil)
	p.house.log.Info("old segments are removed", "partition", p.seat.name, "segments", d.Segments(), "start", p.disk.index.Start())
}

// keepFor is the first entry that another replica still needs. One that has not
// held what is committed for long gets a snapshot instead.
func (p *Partition) keepFor() codec.Index {
	keep, now := codec.Index(math.MaxInt64), p.house.clock.Now()
	for _, o := range p.mind.Peers() {
		if at, ever := p.held[o.ID]; ever && now-at < codec.Millis(holdFor.Milliseconds()) {
			keep = min(keep, o.Match)
		}
		if at, learns := p.joining[o.ID]; learns && now-at < codec.Millis(joinWithin.Milliseconds()) {
			keep = min(keep, o.Match)
		}
	}
	return keep
}

// configure takes new settings of the topic, and members of the group. Batches
// that are handed to the disk from now on are made durable as these say.
func (p *Partition) configure(m *configure) {
	old := p.options()
	if m.members != nil {
		if !p.replicated() {
			p.flush() // what was taken alone is its owner's memory, and is kept for nobody
		}
		p.seat.members, p.seat.change = m.members.list, m.members.change
		if !p.replicated() { // ticks end all of them, and one that is alone gets none
			p.mute, p.handing = false, handing{}
			p.decided()
			p.look()
		}
	}
	p.seat.settings = m.settings
	if p.options() != old {
		p.reconfigure()
	}
	p.drive()
}

// reconfigure hands the settings to the log, when it is open; one that is
// being opened gets them then.
func (p *Partition) reconfigure() {
	o := p.options()
	p.disk.step("configure", func(l *wal.Log) error { return l.Configure(o) }, nil)
}

// trim moves the start to where an operator wants it.
func (p *Partition) trim(m *trim) {
	if p.mind == nil || p.disk.log == nil {
		m.reply(0, orUnavailable(p.refusal(), p.seat.name))
		return
	}
	v := p.pub.view.Load()
	if v == nil || !p.serving {
		m.reply(0, unavailable(p.seat.name))
		return
	}
	if hw := v.HighWatermark(); m.before > hw {
		m.reply(0, codec.Errorf(codec.OffsetOutOfRange, "cannot trim before offset %d: the high watermark is %d", m.before, hw))
		return
	}
	if m.before <= p.disk.index.Start() {
		m.reply(p.disk.index.Start(), nil)
		return
	}
	p.propose(&propose{data: codec.AppendStartEntry(nil, m.before), reply: func(_ any, err error) {
		if err == nil {
			p.publish()
			p.dropBelowStart()
		}
		m.reply(m.before, err)
	}})
}

func orUnavailable(err error, name string) error {
	if err == nil {
		return unavailable(name)
	}
	return err
}

// snapshotMachine writes the machine's state down from time to time, so that
// the log before it can go.
func (p *Partition) snapshotMachine(last codec.Index) {
	if p.snapAt == 0 {
		p.snapAt, _ = p.disk.index.Before()
	}
	if last < p.snapAt+cmp.Or(p.house.cfg.Ports.SnapshotEvery, snapshotEvery) || p.disk.log == nil {
		return
	}
	p.snapAt = last
	term, _ := p.disk.index.Term(last)
	snap := wal.Snapshot{Index: last, Term: term, Data: replica.Snapshot{
		AppendTime: p.disk.index.AppendTime(), State: p.machine.snapshot(),
	}.Encode(nil)}
	var previous codec.Index
	p.disk.step("snapshot", func(l *wal.Log) (err error) {
		previous, err = l.WriteSnapshot(snap)
		return err
	}, func() {
		p.snapped = snap
		if d := p.disk.index.DropEntries(previous); d != nil {
			p.disk.step("retention", func(l *wal.Log) error { return l.Retain(d) }, nil)
		}
	})
}
