package wal

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// Install replaces the whole log by s, a snapshot of another replica: the log
// goes on with entry s.Index+1, and knows nothing of what it was before. h says
// what the hard state is from now on: Term, Vote, Before and BeforeTerm (those
// of s), Start, Next, AppendTime, and Conf as of ConfAsOf, which may lie above
// s.Index (raft.md 2.5). Group and Replica stay, Start does not go back, and
// Commit and Durable are s.Index, since the log ends there.
//
// It is whole or not at all, whatever call of the disk fails or crashes: the
// next Open finds the old log or the new one. The Index that it returns is the
// reading half from now on; the old one and its Views stay readable as far as
// they are in memory, and otherwise say ErrGone. After an error the log must be
// closed, as after one of Write.
//
// It panics where raft would break a promise: a term that goes back, another
// vote in the same term, or a snapshot that is not above what is committed.
func (l *Log) Install(h Hard, s Snapshot) (*Index, error) {
	if l.ended != nil {
		return nil, fmt.Errorf("install snapshot in %s: %w", l.dir, l.ended)
	}
	x, err := l.install(l.successor(h, s), s)
	if err != nil {
		l.ended = errors.Join(ErrClosed, err)
		return nil, fmt.Errorf("install snapshot in %s: %w", l.dir, err)
	}
	return x, nil
}

// successor is the hard state of the log that s begins.
func (l *Log) successor(h Hard, s Snapshot) Hard {
	now := l.hard.now
	switch {
	case h.Before != s.Index || h.BeforeTerm != s.Term:
		panic(fmt.Sprintf("wal: log of %s is to begin behind entry %d of term %d, its snapshot is of entry %d of term %d", l.dir, h.Before, h.BeforeTerm, s.Index, s.Term))
	case s.Index <= now.Commit:
		panic(fmt.Sprintf("wal: snapshot of entry %d for %s, committed up to %d", s.Index, l.dir, now.Commit))
	case h.Term < now.Term || h.Term < s.Term:
		panic(fmt.Sprintf("wal: %s in term %d is given term %d and a snapshot of term %d", l.dir, now.Term, h.Term, s.Term))
	case h.Term == now.Term && now.Vote != 0 && h.Vote != now.Vote:
		panic(fmt.Sprintf("wal: %s voted for %d in term %d, and is told that it was for %d", l.dir, now.Vote, now.Term, h.Vote))
	}
	h.Group, h.Replica, h.Log = now.Group, now.Replica, now.Log+1
	h.Commit, h.Durable = s.Index, s.Index
	h.Start = max(h.Start, now.Start)
	return h
}

func (l *Log) install(next Hard, s Snapshot) (*Index, error) {
	fresh := incarnation(next.Log)
	if err := l.prepare(fresh, next, s); err != nil {
		return nil, err
	}
	// Nothing of the old log is wanted any more; a library that is closed
	// later would miss its directory.
	if err := errors.Join(l.seg.close(), l.wal.close()); err != nil {
		return nil, err
	}
	if err := l.hard.write(next); err != nil { // from here on it is the new log
		return nil, err
	}
	if err := l.begin(fresh, next); err != nil {
		return nil, err
	}
	if err := fresh.removeOthers(l.fs, l.dir); err != nil {
		return nil, err
	}
	x := newIndex(l.fs, l.dir, next, Options{CacheBytes: l.cacheBytes})
	l.cuts = x.cuts
	return x, nil
}

// prepare makes the new log durable beside the old one, which still counts.
func (l *Log) prepare(fresh incarnation, next Hard, s Snapshot) error {
	for _, kind := range logKinds {
		if err := l.fs.RemoveAll(fresh.dir(l.dir, kind)); err != nil {
			return err
		}
	}
	if err := fresh.create(l.fs, l.dir, next); err != nil {
		return err
	}
	name := filepath.Join(fresh.dir(l.dir, snapshotDir), snapshotName(s.Index))
	if err := WriteFile(l.fs, name, s.encode()); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return &SyncFailed{err}
	}
	return nil
}

// begin goes on with the empty log of fresh.
func (l *Log) begin(fresh incarnation, h Hard) (err error) {
	l.seg = segmentWriter{fs: l.fs, dir: fresh.dir(l.dir, segmentDir), bytesMax: l.seg.bytesMax}
	l.snapshots = fresh.dir(l.dir, snapshotDir)
	l.synced = h.Before
	size := l.wal.fileBytes
	l.wal, err = openEngine(l.fs, fresh.dir(l.dir, walDir), size, []codec.Index{h.Before + 1}, h.Before)
	return err
}
