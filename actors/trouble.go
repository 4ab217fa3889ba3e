package actors

import (
	"errors"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// diskTrouble is what any error of the disk leads to. The log is let go in
// every case: its handle is not to be trusted.
func (p *Partition) diskTrouble(err error) {
	var broken *wal.Panicked
	switch {
	case errors.As(err, &broken):
		panic(broken.Error())
	case wal.IsCorrupt(err):
		p.quarantine(err)
	case wal.IsExhausted(err):
		p.pause(codec.Overloaded, "the broker has no file descriptors left (ulimit -n)", err)
	case wal.IsFull(err):
		p.pause(codec.DiskFull, "the disk is full", err)
	default:
		p.stopped(err)
	}
}

// quarantine ends this replica because a file of it is damaged. Nothing of it
// is served any more.
func (p *Partition) quarantine(err error) {
	if p.trouble != nil && p.trouble.Code == codec.CorruptLog {
		return
	}
	p.house.seen(SeenQuarantine)
	p.house.log.Error("replica is quarantined", "partition", p.seat.name, "replica", p.seat.id, "error", err)
	e := codec.Errorf(codec.CorruptLog, "%s is quarantined: %v", p.seat.name, err)
	p.end(e, e)
}

// stopped ends this replica because its disk failed: an fsync, or a call that
// should not fail. What the page cache holds is not to be believed, so it is
// not opened again before the broker is.
func (p *Partition) stopped(err error) {
	if codec.Mutant("fsync-tried-again") {
		p.pause(codec.DiskFull, "its disk failed", err)
		return
	}
	p.house.log.Error("replica is stopped: its disk failed", "partition", p.seat.name, "replica", p.seat.id, "error", err)
	e := codec.Errorf(codec.DiskFailed, "%s is stopped: %v", p.seat.name, err)
	p.end(e, e)
}

// pause takes no more writes until there is room again. Reads go on, from
// what was committed.
func (p *Partition) pause(code codec.Code, why string, err error) {
	p.house.log.Warn("no more writes until there is room", "partition", p.seat.name, "why", why, "error", err)
	e := codec.Errorf(code, "%s takes no records: %s. It resumes by itself when there is room", p.seat.name, why)
	var read *codec.Error
	if p.pub.view.Load() == nil {
		read = e
	}
	p.end(e, read)
	p.retryLater()
}

// end refuses writes with write and, when it is given, reads with read; those
// that are waiting learn it.
func (p *Partition) end(write, read *codec.Error) {
	p.trouble, p.serving, p.mind = write, false, nil
	p.disk.letGo()
	p.requests.failAll(codec.Errorf(codec.Unknown, "the outcome is not known, it may or may not be in the log: %s", write.Message))
	p.pub.publishState(state{open: read == nil, write: write, read: read})
	if read != nil {
		p.waiters.all()
	}
	p.house.toBroker(&ready{group: p.seat.group, replica: p.seat.id, err: write})
}

func (p *Partition) retryLater() {
	life := p.disk.life
	p.house.clock.After(p.house.jitter(retryEvery), func() { p.post(retry{life}) })
}

// lookForRoom asks the disk how much is free.
func (p *Partition) lookForRoom(m retry) {
	if m.life != p.disk.life || p.disk.closed {
		return
	}
	fs, dir, life := p.house.fs, p.house.cfg.Dir, p.disk.life
	p.disk.lane.Do(func() {
		free, err := fs.Free(dir)
		p.post(&room{life, free, err})
	})
}

// roomFound opens the log again when there is a little room: enough to retain
// and to trim. Producers are let in when the reserve is free.
func (p *Partition) roomFound(m *room) {
	if m.life != p.disk.life || p.disk.closed {
		return
	}
	if m.err != nil || m.free < reopenBytes {
		p.retryLater()
		return
	}
	p.house.seen(SeenReopened)
	p.house.log.Info("there is room on the disk again", "partition", p.seat.name, "free", m.free)
	p.reopen()
}
