package actors

import (
	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// disk is a partition's side of the disk port: what it asked for and has not
// heard of.
type disk struct {
	house *house
	post  func(any)
	lane  *wal.Lane
	log   *wal.Log   // nil while closed
	index *wal.Index // of the last opening; readers' views outlive a closing
	life  int        // counts openings; answers to an earlier one are void

	nextLife func() int

	opening *onItsWay   // handed to the disk and not heard of
	writing []inWriting // oldest first
	closed  bool        // for good
}

// onItsWay is a log being opened. The lane fills it in; whoever comes behind on
// the lane finds it there, so a log that nobody waits for is closed all the
// same.
type onItsWay struct{ log *wal.Log }

type inWriting struct {
	append *replica.Append
	since  codec.Millis
}

// write hands an append to the disk.
func (d *disk) write(a *replica.Append) {
	w := writeOf(a)
	d.writing = append(d.writing, inWriting{a, d.house.clock.Now()})
	life := d.life
	d.lane.Write(d.log, w, func(err error) { d.post(&persisted{life, a, w, err}) })
}

// writeOf is an append in the words of the log.
func writeOf(a *replica.Append) *wal.Write {
	w := &wal.Write{Commit: a.Commit}
	if a.Hard {
		w.Vote = &wal.Vote{Term: a.Term, For: a.Vote}
	}
	w.Entries = make([]wal.Entry, len(a.Entries))
	for i, e := range a.Entries {
		w.Entries[i] = wal.Entry{Index: e.Index, Term: e.Term, Type: uint8(e.Type), Data: e.Data, Payloads: e.Payloads}
	}
	return w
}

// wrote takes the oldest write off the list.
func (d *disk) wrote() { d.writing = d.writing[1:] }

// oldest is how long the disk has been at its oldest write.
func (d *disk) oldest(now codec.Millis) codec.Millis {
	if len(d.writing) == 0 {
		return 0
	}
	return now - d.writing[0].since
}

// step runs f on the log, behind what waits there; then runs in the actor's
// turn when it succeeded.
func (d *disk) step(what string, f func(*wal.Log) error, then func()) {
	if d.log == nil {
		return
	}
	life, log := d.life, d.log
	d.lane.Do(func() {
		d.post(&stepDone{life, what, wal.Guard(func() error { return f(log) }), then})
	})
}

// letGo closes the log without a word to it; answers on their way are void.
func (d *disk) letGo() {
	d.life = d.nextLife()
	d.writing = nil
	last := d.take()
	d.lane.Do(func() {
		if log := last(); log != nil {
			if err := log.Close(); err != nil {
				d.house.log.Warn("closing a log failed", "error", err)
			}
		}
	})
}

// take gives up the log. What it returns is to be called on the lane, and
// says which log is to be closed there: the one in use, or the one that was
// being opened; nil when there is none.
func (d *disk) take() func() *wal.Log {
	log, opening := d.log, d.opening
	d.log, d.opening = nil, nil
	return func() *wal.Log {
		if log == nil && opening != nil {
			return opening.log
		}
		return log
	}
}
