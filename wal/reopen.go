package wal

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// checkSegments compares the segment files with what descriptors say: each is
// there and long enough, and none is there that nothing points into.
func (r *recovery) checkSegments() error {
	names, err := r.fs.ReadDir(r.path(segmentDir))
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	size := make(map[codec.Offset]int64, len(names))
	for _, n := range names {
		if base, ok := parseSegmentName(n.Name); ok {
			size[base] = n.Size
		}
	}
	for _, s := range r.x.segments() {
		name := filepath.Join(r.path(segmentDir), segmentName(s.base))
		n, ok := size[s.base]
		if !ok {
			return corruptf(name, -1, "the file is missing")
		}
		if n < s.bytes {
			return corruptf(name, n, "the file ends %d bytes before its last batch does", s.bytes-n)
		}
		delete(size, s.base)
	}
	return r.removeSegments(names, size)
}

// removeSegments removes files that no entry points into: left by a crash
// between making a file and writing its first entry, in retention, or in a cut.
// The names of the WAL may be from a cut that was not yet durable: they are,
// before what lies behind it goes.
func (r *recovery) removeSegments(names []DirEntry, unused map[codec.Offset]int64) error {
	if len(unused) == 0 {
		return nil
	}
	if err := r.fs.SyncDir(r.path(walDir)); err != nil {
		return &SyncFailed{err}
	}
	for _, n := range names {
		base, ok := parseSegmentName(n.Name)
		if !ok {
			continue
		}
		if _, ok := unused[base]; !ok {
			continue
		}
		if err := r.fs.Remove(filepath.Join(r.path(segmentDir), n.Name)); err != nil {
			return fmt.Errorf("remove unused segment: %w", err)
		}
	}
	return nil
}

// segments are all segments that the index knows.
func (x *Index) segments() []*segment {
	all := append([]*segment(nil), x.closed...)
	if x.active.base != noSegment {
		active := x.active
		all = append(all, &active)
	}
	return all
}

// writer opens the log for writing behind what holds.
func (r *recovery) writer() (*Log, error) {
	if err := r.trimWAL(); err != nil {
		return nil, err
	}
	l := &Log{fs: r.fs, dir: r.dir, hard: r.hard, sync: !r.opts.NoSync, synced: r.proven, cuts: r.x.cuts}
	l.snapshots, l.cacheBytes = r.path(snapshotDir), r.opts.CacheBytes
	l.seg = segmentWriter{fs: r.fs, dir: r.path(segmentDir), bytesMax: r.opts.SegmentBytes}
	if err := r.fill(l); err != nil {
		r.hard = nil // closed with the log
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// fill opens the files of l, and makes durable what was found in them.
func (r *recovery) fill(l *Log) (err error) {
	if s := r.x.active; s.base != noSegment {
		if err := l.seg.resume(s.base, s.bytes); err != nil {
			return err
		}
		if r.left { // told once
			if err := l.seg.trim(); err != nil {
				return err
			}
		}
	}
	if err := r.writeTailAgain(); err != nil {
		return err
	}
	if l.wal, err = openEngine(r.fs, r.path(walDir), r.opts.WALFileBytes, r.files, r.x.Last()); err != nil {
		return err
	}
	l.wal.namesNew = true
	if err := l.syncAll(); err != nil {
		return err
	}
	if err := r.settleHard(l); err != nil {
		return err
	}
	return incarnation(l.hard.now.Log).removeOthers(r.fs, r.dir)
}

// settleHard writes down what was just proved, with a term at least that of
// the last entry.
func (r *recovery) settleHard(l *Log) error {
	next := l.hard.now
	if term, _ := r.x.Term(r.x.Last()); next.Term < term {
		next.Term, next.Vote = term, 0
	}
	next.Durable = l.synced
	if next.Commit == r.read.Commit && next.Durable == r.read.Durable && next.Term == r.read.Term {
		return nil
	}
	return l.hard.write(next)
}

// trimWAL cuts the last WAL file behind its last good entry, durably, before
// the library sees it.
func (r *recovery) trimWAL() error {
	name := filepath.Join(r.path(walDir), walName(r.files[len(r.files)-1]))
	f, err := r.fs.Open(name, false)
	if err != nil {
		return fmt.Errorf("trim WAL: %w", err)
	}
	size, err := f.Size()
	if err == nil && size > r.good {
		if err = f.Truncate(r.good); err == nil {
			if serr := f.Sync(); serr != nil {
				err = &SyncFailed{serr}
			}
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("trim WAL: %w", err)
	}
	return nil
}

// writeTailAgain writes the kept entries of the unproved group over
// themselves, payloads and descriptors, and fsyncs them.
func (r *recovery) writeTailAgain() error {
	for _, part := range r.tailBytes() {
		if err := rewrite(r.fs, filepath.Join(r.path(segmentDir), segmentName(part.Segment)), part.Position, part.end); err != nil {
			return err
		}
	}
	if len(r.tail) == 0 {
		return nil
	}
	if err := r.fs.SyncDir(r.path(segmentDir)); err != nil {
		return &SyncFailed{err}
	}
	return r.rewriteWALTail()
}

// stretch is a part of one segment, up to end.
type stretch struct {
	Place
	end int64
}

// tailBytes are the stretches of segments that the unproved group's batches
// lie in: one for each segment, since batches lie one behind the other.
func (r *recovery) tailBytes() (parts []stretch) {
	for i := range r.tail {
		e := &r.tail[i].Entry
		run, ok, _ := e.batches() // it was read before
		if !ok {
			continue
		}
		end := e.Place.Position + int64(run.Bytes())
		if n := len(parts); n > 0 && parts[n-1].Segment == e.Place.Segment {
			parts[n-1].end = end
			continue
		}
		parts = append(parts, stretch{e.Place, end})
	}
	return parts
}

// rewriteWALTail covers the last file only: files before it the library
// fsynced, or would have failed.
func (r *recovery) rewriteWALTail() error {
	last := r.files[len(r.files)-1]
	from := int64(-1)
	for i := range r.tail {
		if r.tail[i].Index >= last {
			from = r.tail[i].At
			break
		}
	}
	if from < 0 {
		return nil
	}
	return rewrite(r.fs, filepath.Join(r.path(walDir), walName(last)), from, r.good)
}

// rewriteStep is how much is in memory at a time.
const rewriteStep = 4 << 20

// rewrite writes the bytes [at, end) of a file over themselves and fsyncs it.
func rewrite(fs FS, name string, at, end int64) (err error) {
	f, err := fs.Open(name, false)
	if err != nil {
		return fmt.Errorf("write last group again: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, min(rewriteStep, end-at))
	for at < end {
		p := buf[:min(rewriteStep, end-at)]
		if n, err := readFull(f, p, at); err != nil || n < len(p) {
			return errors.Join(fmt.Errorf("read last group of %s: %d bytes of %d at %d", name, n, len(p), at), err)
		}
		if err := f.WriteAt(at, p); err != nil {
			return fmt.Errorf("write last group again: %w", err)
		}
		at += int64(len(p))
	}
	if err := f.Sync(); err != nil {
		return &SyncFailed{fmt.Errorf("last group: %w", err)}
	}
	return nil
}
