package actors

import (
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// close lets nobody in any more, waits for what the disk has, rests and lets
// the log go. What is not answered within closeWait has an unknown outcome.
func (p *Partition) close(m *closing) {
	if p.disk.closed {
		m.done()
		return
	}
	p.disk.closed = true
	p.pub.closing.Store(true)
	p.refuseHeld(codec.Errorf(codec.Stopping, "the broker is stopping"))
	p.flush()
	if p.mind == nil || len(p.requests.list) == 0 {
		p.finish(m)
		return
	}
	p.leaving = m
	p.house.clock.After(closeWait, func() { p.post(&closeNow{m}) })
}

// finish ends the replica for good.
func (p *Partition) finish(m *closing) {
	p.leaving = nil
	p.leave(codec.Errorf(codec.Stopping, "the broker is stopping"))
	p.letGoRested(func(err error) {
		if err != nil {
			p.house.log.Warn("a log did not close cleanly", "partition", p.seat.name, "error", err)
		}
		m.done()
	})
}

// finishIfAnswered ends a replica that closes, once nobody waits for it.
func (p *Partition) finishIfAnswered() {
	if p.leaving != nil && len(p.requests.list) == 0 {
		p.finish(p.leaving)
	}
}

// leave refuses everything from now on.
func (p *Partition) leave(why *codec.Error) {
	p.disk.closed, p.serving = true, false
	p.pub.publishState(state{write: why, read: why})
	p.refuseHeld(why)
	p.requests.failAll(codec.Errorf(codec.Unknown, "%s: the batch may or may not be in the log", why.Message))
	p.waiters.all()
}

// letGoRested closes the log behind all that was written to it.
func (p *Partition) letGoRested(done func(error)) {
	last := p.disk.take()
	var commit codec.Index
	if p.mind != nil {
		commit = p.mind.Commit()
	}
	p.mind = nil
	p.disk.life = p.disk.nextLife()
	p.disk.lane.Do(func() {
		log := last()
		if log == nil {
			done(nil)
			return
		}
		err := log.Rest(commit)
		if cerr := log.Close(); err == nil {
			err = cerr
		}
		done(err)
	})
}

// bury ends the replica and removes its directory: only a tombstone in the
// metadata leads to that.
func (p *Partition) bury(m *burying) {
	if m.keep {
		p.leave(m.why)
		p.letGoRested(m.done)
		return
	}
	if !p.disk.closed || p.disk.log != nil {
		p.leave(m.why)
		p.letGoRested(func(error) {})
	}
	fs, dir := p.house.fs, p.seat.dir
	p.disk.lane.Do(func() { m.done(wal.Delete(fs, dir)) })
}
