package actors

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"go.etcd.io/raft/v3/raftpb"

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

// found is damage that a reader met. Who was long at a file may have begun when another
// replica, which this one has replaced, had the handle: that says nothing of this one.
func (p *Partition) found(m *damaged) {
	var c *wal.Corrupt
	if errors.As(m.err, &c) && strings.HasPrefix(c.File, p.seat.dir+string(filepath.Separator)) {
		p.quarantine(m.err)
	}
}

// quarantine ends this replica because a file of it is damaged. Nothing of it
// is served any more, it has no vote and does not lead, now and after the next
// start.
func (p *Partition) quarantine(err error) {
	if p.sick == codec.CorruptLog {
		return
	}
	p.house.seenWhy(SeenQuarantine, fmt.Sprintf("%s: %v", p.seat.name, err))
	p.house.log.Error("replica is quarantined", "partition", p.seat.name, "replica", p.seat.id, "error", err)
	p.endForGood(codec.Errorf(codec.CorruptLog, "%s is quarantined here, for a file of it is damaged", p.seat.name), err)
	fs, dir, house := p.house.fs, p.seat.dir, p.house
	p.disk.lane.Do(func() {
		if werr := wal.Quarantine(fs, dir, err); werr != nil {
			house.log.Warn("a quarantine is not written down", "directory", dir, "error", werr)
		}
	})
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
	p.endForGood(codec.Errorf(codec.DiskFailed, "%s is stopped here, for its disk failed", p.seat.name), err)
}

// endForGood ends a replica until somebody sees to its disk. Clients of a topic
// are sent to another replica where there is one. Which file it is that cause
// names is for the log and for whoever starts this broker, not for them.
func (p *Partition) endForGood(why *codec.Error, cause error) {
	told := why
	if p.machine == nil && p.seat.machine == nil {
		told = p.pub.elsewhere(why)
	}
	p.end(why.Code, told, told, cause)
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
	p.end(code, e, read, err)
	p.retryLater()
}

// end refuses writes with write and, when it is given, reads with read; those
// that are waiting learn it. sick is what the matter is.
func (p *Partition) end(sick codec.Code, write, read *codec.Error, cause error) {
	p.giveUp()
	p.sick, p.trouble, p.serving, p.mind = sick, write, false, nil
	p.pub.inSync.Store(nil)
	p.disk.letGo()
	p.refuseHeld(write)
	p.handing = handing{}
	p.requests.failAll(codec.Errorf(codec.Unknown, "the outcome is not known, it may or may not be in the log: %s", write.Message))
	p.pub.publishState(state{open: read == nil, write: write, read: read, sick: sick})
	if read != nil {
		p.waiters.all()
	}
	p.house.toBroker(&ready{group: p.seat.group, replica: p.seat.id, err: codec.Errorf(sick, "%s: %v", write.Message, cause)})
}

// giveUp hands leadership over before this replica falls silent: the follower
// that has most of the log is told to stand for election now.
func (p *Partition) giveUp() {
	if p.mind == nil || p.mute || !p.mind.Role().Leader {
		return
	}
	if to := p.best(); to != 0 {
		from, whom, term := uint64(p.seat.id), uint64(to), uint64(p.mind.Role().Term)
		p.sendAll([]*raftpb.Message{{Type: raftpb.MsgTimeoutNow.Enum(), From: &from, To: &whom, Term: &term}})
	}
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
