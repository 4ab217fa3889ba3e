package wal

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Log is the writing half of a replica's log. One caller at a time owns it,
// a Lane of the disk port; the reading half is the Index and its Views.
//
// The directory of a replica:
//
//	hard                      the Hard state, two slots
//	wal/00000000000000000002  descriptors, from that index on (tidwall/wal)
//	seg/00000000000000000000.seg  batches, from that offset on
//	snap/00000000000000000900     a state machine as of that index
//
// After the n-th Install the last three are wal.n, seg.n and snap.n.
type Log struct {
	fs   FS
	dir  string
	hard *hardFile
	wal  *engine
	seg  segmentWriter

	snapshots  string // the directory of the snapshots
	cacheBytes int    // of an Index, for the next log

	cuts   *cuts       // told of each, for those who read beside
	synced codec.Index // entries up to it are fsynced
	sync   bool        // fsync before Write returns
	ended  error       // why the log is not to be used any more
}

// Options shape a log. The zero value is good.
type Options struct {
	// SegmentBytes is the size at which a segment file is ended, 64 MiB by
	// default. A batch larger than it has a segment of its own.
	SegmentBytes int64
	// NoSync leaves durability to the operating system: what Write reports
	// survives the end of the process but not of the machine.
	NoSync bool
	// CacheBytes bounds the entry data kept in memory for consensus, 32 KiB
	// by default. What is not yet applied is always kept.
	CacheBytes int
	// WALFileBytes is the size at which a file of descriptors is ended, 256 KiB
	// by default. Its tail is kept in memory; tests make it small.
	WALFileBytes int64
}

// SegmentBytesDefault is the size of segment files unless told otherwise.
const SegmentBytesDefault = 64 << 20

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = SegmentBytesDefault
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 10
	}
	if o.WALFileBytes <= 0 {
		o.WALFileBytes = walFileBytes
	}
	return o
}

// Write is one step of a replica towards its disk.
type Write struct {
	// Vote, when set, is a term and a vote to make durable before Entries.
	Vote *Vote
	// Commit is the commit index known when the write was made. It goes to
	// the disk with whatever is written next, never beyond what is durable.
	Commit codec.Index
	// Entries follow each other by index. The first may be at or below the
	// log's last: then the log is cut before it.
	Entries []Entry
}

// Vote is the part of the hard state that consensus owns.
type Vote struct {
	Term codec.Term
	For  codec.ReplicaID
}

const (
	hardName    = "hard"
	walDir      = "wal"
	segmentDir  = "seg"
	snapshotDir = "snap"
)

// Write makes group durable: the last vote first, then all entries with their
// payloads. It fills in each entry's Place. Afterwards all of it is durable,
// or an error is returned and the log must be closed: nothing is known then
// of what was written, and nothing of it may be promised.
func (l *Log) Write(group ...*Write) error {
	if l.ended != nil {
		return fmt.Errorf("write to %s: %w", l.dir, l.ended)
	}
	if err := l.write(group); err != nil {
		l.ended = errors.Join(ErrClosed, err)
		return fmt.Errorf("write to %s: %w", l.dir, err)
	}
	return nil
}

func (l *Log) write(group []*Write) error {
	if err := l.writeVote(group); err != nil {
		return err
	}
	var run []Entry // consecutive entries of several writes
	var from []*Write
	for _, w := range group {
		if len(w.Entries) == 0 {
			continue
		}
		if first := w.Entries[0].Index; first <= l.wal.last || len(run) > 0 && first <= run[len(run)-1].Index {
			if err := l.appendRun(run, from); err != nil {
				return err
			}
			run, from = run[:0], from[:0]
			if err := l.cut(first); err != nil {
				return err
			}
		}
		run, from = append(run, w.Entries...), append(from, w)
	}
	return l.appendRun(run, from)
}

// writeVote makes the last vote of the group durable before entries that rest
// on it, so that the term on disk is never older than the log's last term.
func (l *Log) writeVote(group []*Write) error {
	next := l.hard.now
	changed := false
	// What the group calls committed is of the log that it makes, and may be
	// what takes the place of entries that are there now.
	stays := l.synced
	for _, w := range group {
		if len(w.Entries) > 0 {
			if !codec.Mutant("commit-before-cut") {
				stays = min(stays, w.Entries[0].Index-1)
			}
		}
	}
	for _, w := range group {
		next.Commit = max(next.Commit, min(w.Commit, stays))
		if w.Vote != nil {
			changed = changed || next.Term != w.Vote.Term || next.Vote != w.Vote.For
			next.Term, next.Vote = w.Vote.Term, w.Vote.For
		}
	}
	if codec.Mutant("forgotten-vote") {
		l.hard.now = next
		return nil
	}
	if !changed {
		l.hard.now.Commit = next.Commit
		return nil
	}
	next.Durable = l.synced
	return l.hard.write(next)
}

// appendRun writes payloads, then descriptors, then fsyncs both. Whichever
// reaches the disk first, an entry counts only when both have.
func (l *Log) appendRun(run []Entry, from []*Write) error {
	if len(run) == 0 {
		return nil
	}
	if want := l.wal.last + 1; run[0].Index != want {
		panic(fmt.Sprintf("wal: append of entry %d to %s, whose next is %d", run[0].Index, l.dir, want))
	}
	ended := codec.Index(0) // the last entry of the segments that this run ended
	for i := range run {
		base := l.seg.base
		if err := l.place(&run[i]); err != nil {
			return err
		}
		if l.seg.base != base {
			ended = run[i].Index - 1
		}
	}
	if err := l.seg.flush(); err != nil {
		return err
	}
	if l.sync {
		if err := l.wal.reserve(run); err != nil {
			return err
		}
	} else {
		l.seg.writeBack()
	}
	if err := l.wal.append(run, l.synced); err != nil {
		return err
	}
	i := 0
	for _, w := range from {
		i += copy(w.Entries, run[i:])
	}
	if l.sync {
		return l.syncAll()
	}
	return l.prove(ended)
}

// prove makes descriptors durable after segments were ended, which were
// fsynced then. So what an opening after a crash cannot take for durable, and
// has to read, is never more than a segment, whatever the topic's durability.
func (l *Log) prove(ended codec.Index) error {
	if ended <= l.synced {
		return nil
	}
	if err := l.wal.sync(); err != nil {
		return err
	}
	l.synced = ended
	return nil
}

// syncAll makes both kinds of file durable, side by side.
func (l *Log) syncAll() error {
	files := []File{l.wal.tail}
	if l.seg.unsynced() && !codec.Mutant("wal-alone-synced") {
		files = append(files, l.seg.file)
	}
	if codec.Mutant("segment-alone-synced") {
		files = files[1:]
	}
	if codec.Mutant("ack-before-fsync") {
		files = nil
	}
	if err := l.fs.SyncAll(files...); err != nil {
		return &SyncFailed{err}
	}
	if err := l.seg.synced(); err != nil {
		return err
	}
	if err := l.wal.synced(); err != nil {
		return err
	}
	l.synced = l.wal.last
	return nil
}

func (l *Log) place(e *Entry) (err error) {
	run, ok, err := e.batches()
	if err != nil {
		panic("wal: entry to be written does not hold: " + err.Error())
	}
	if !ok {
		return nil
	}
	epoch, fits := codec.EpochOf(e.Term)
	if !fits || len(e.Payloads) != run.Len() {
		panic(fmt.Sprintf("wal: entry %d of term %d has %d payloads and %d descriptors", e.Index, e.Term, len(e.Payloads), run.Len()))
	}
	for i, b := range e.Payloads {
		if d := run.At(i); len(b) != int(d.Size) || d.Head(epoch) != [codec.BatchHeadBytes]byte(b[:codec.BatchHeadBytes]) {
			panic(fmt.Sprintf("wal: payload of entry %d is not what its descriptor says", e.Index))
		}
	}
	e.Place, err = l.seg.place(e.Payloads, int64(run.Bytes()))
	return err
}
