package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// Drop is what retention removes: whole segments, and the entries up to the
// last of them.
type Drop struct {
	segments   []codec.Offset
	before     codec.Index
	beforeTerm codec.Term
	next       codec.Offset
	appends    codec.Millis
	start      codec.Offset
}

// Segments is the number of segment files that go.
func (d *Drop) Segments() int { return len(d.segments) }

// Before is the index of the last entry that goes.
func (d *Drop) Before() codec.Index { return d.before }

// Drop takes whole segments below the committed start out of the index, so
// that views published from now on lack them, and says what the disk must
// remove; nil when nothing goes. The segment that holds the commit index
// stays, and so does what is at or above keep, which a learner still needs.
func (x *Index) Drop(keep codec.Index) *Drop {
	n := 0
	for n < len(x.closed) && x.closed[n].limit <= x.start && x.closed[n].last < min(x.commit, keep) && x.closed[n].base != x.readable.segment {
		n++
	}
	if n == 0 {
		return nil
	}
	last := x.closed[n-1]
	term, _ := x.Term(last.last)
	d := &Drop{before: last.last, beforeTerm: term, next: last.limit, appends: last.lastAt, start: x.start}
	for _, s := range x.closed[:n] {
		d.segments = append(d.segments, s.base)
	}
	x.closed = append([]*segment(nil), x.closed[n:]...)
	x.begin = beginning{d.next, d.appends}
	x.dropEntries(d.before, term)
	return d
}

// dropEntries forgets entries up to before.
func (x *Index) dropEntries(before codec.Index, term codec.Term) {
	x.before, x.beforeTerm = before, term
	n := 0
	for n+1 < len(x.terms) && x.terms[n+1].First <= before+1 {
		n++
	}
	x.terms = append([]termRun(nil), x.terms[n:]...)
	for len(x.cache) > 0 && x.cache[0].Index <= before {
		x.cacheBytes -= len(x.cache[0].Data)
		x.cache = x.cache[1:]
	}
}

// DropEntries takes entries up to index out of the index of a log without
// batches; a snapshot stands for them.
func (x *Index) DropEntries(index codec.Index) *Drop {
	if index <= x.before || index > x.commit {
		return nil
	}
	term, _ := x.Term(index)
	x.dropEntries(index, term)
	return &Drop{before: index, beforeTerm: term, next: x.next, appends: x.appends, start: x.start}
}

// Retain removes what d names. The new beginning is durable before anything
// goes; what a crash leaves behind, the next Open removes.
//
// A Drop that was made before an Install names nothing that is still here: the
// log begins behind all that was committed in the one before it.
func (l *Log) Retain(d *Drop) error {
	if l.ended == nil && d.before <= l.hard.now.Before {
		return nil
	}
	err := l.setHard(func(h *Hard) {
		h.Before, h.BeforeTerm, h.Next, h.AppendTime = d.before, d.beforeTerm, d.next, d.appends
		h.Start = max(h.Start, d.start)
		h.Commit = max(h.Commit, min(d.before, l.synced))
	})
	if err != nil {
		return err
	}
	if err := l.removeDropped(d); err != nil {
		l.ended = errors.Join(ErrClosed, err)
		return fmt.Errorf("retention of %s: %w", l.dir, err)
	}
	return nil
}

func (l *Log) removeDropped(d *Drop) error {
	for _, base := range d.segments {
		if err := l.fs.Remove(filepath.Join(l.seg.dir, segmentName(base))); err != nil {
			return err
		}
	}
	if err := l.wal.dropThrough(d.before); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.seg.dir); err != nil {
		return &SyncFailed{err}
	}
	return nil
}

// SetStart writes the committed start down.
func (l *Log) SetStart(start codec.Offset) error {
	return l.setHard(func(h *Hard) { h.Start = max(h.Start, start) })
}

// RetentionStart is where the log should begin when batches appended before
// oldest go and at most maxBytes stay (0 is any number): the limit of the last
// whole segment that goes. Nothing above the watermark goes.
func (x *Index) RetentionStart(oldest codec.Millis, maxBytes int64) codec.Offset {
	start := x.start
	list := x.segments()
	total := int64(0)
	for _, s := range list {
		total += s.bytes
	}
	for i, s := range list {
		tooMuch := maxBytes > 0 && total-s.bytes >= maxBytes && i+1 < len(list)
		if s.limit > x.readable.offset || s.lastAt >= oldest && !tooMuch {
			break
		}
		start = max(start, s.limit)
		total -= s.bytes
	}
	return start
}

// Delete removes the log in dir, whole or not at all: under its name there is
// either a log or nothing.
func Delete(fs FS, dir string) error {
	gone := dir + ".gone"
	if err := fs.RemoveAll(gone); err != nil {
		return fmt.Errorf("delete log: %w", err)
	}
	there, err := Exists(fs, dir)
	if err != nil {
		return fmt.Errorf("delete log: %w", err)
	}
	if there {
		if err := fs.Rename(dir, gone); err != nil {
			return fmt.Errorf("delete log: %w", err)
		}
	}
	if err := fs.SyncDir(filepath.Dir(dir)); err != nil {
		return &NamesFailed{&SyncFailed{fmt.Errorf("delete log: %w", err)}}
	}
	if err := fs.RemoveAll(gone); err != nil {
		return fmt.Errorf("delete log: %w", err)
	}
	return nil
}

// Sweep removes what an unfinished Create or Delete left in data: no log of
// anybody.
func Sweep(fs FS, data string) error {
	names, err := fs.ReadDir(data)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for _, n := range names {
		if !strings.HasSuffix(n.Name, ".gone") && !strings.HasSuffix(n.Name, ".new") {
			continue
		}
		if err := fs.RemoveAll(filepath.Join(data, n.Name)); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	// The names of logs may have been made by a process that was killed before
	// it fsynced them.
	if err := fs.SyncDir(data); err != nil {
		return &SyncFailed{fmt.Errorf("sweep: %w", err)}
	}
	return nil
}
