package wal

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// cut removes entries from index first on: the WAL is cut, durably, before the
// segment's position goes back and bytes are overwritten.
func (l *Log) cut(first codec.Index) error {
	if first > l.wal.last {
		return nil
	}
	if first <= l.hard.now.Commit || first <= l.hard.now.Before {
		panic(fmt.Sprintf("wal: cut of %s at entry %d, committed up to %d", l.dir, first, l.hard.now.Commit))
	}
	back, found, err := l.firstPlace(first)
	if err != nil {
		return err
	}
	defer l.cuts.cutting()()
	if err := l.lowerRecoveryPoint(first - 1); err != nil {
		return err
	}
	if err := l.wal.truncateBack(first - 1); err != nil {
		return err
	}
	l.synced = min(l.synced, first-1)
	if !found {
		return nil
	}
	return l.rewind(back)
}

// lowerRecoveryPoint keeps the recovery point below a cut before it is made:
// a log that was cut is shorter, not damaged.
func (l *Log) lowerRecoveryPoint(to codec.Index) error {
	if l.hard.now.Durable <= to {
		return nil
	}
	next := l.hard.now
	next.Durable = to
	return l.hard.write(next)
}

// firstPlace is where the first payload at or above index lies.
func (l *Log) firstPlace(index codec.Index) (p Place, found bool, err error) {
	for index <= l.wal.last {
		list, err := readEntries(l.fs, l.wal.dir, l.wal.files, index, l.wal.last+1, 1<<20)
		if err != nil {
			return p, false, err
		}
		for i := range list {
			if _, ok, err := list[i].batches(); err != nil {
				return p, false, err
			} else if ok {
				return list[i].Place, true, nil
			}
		}
		index += codec.Index(len(list))
	}
	return p, false, nil
}

// rewind lets the next batch go to p, and removes segments behind it.
func (l *Log) rewind(p Place) error {
	if err := l.seg.close(); err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	if err := l.removeSegmentsBehind(p.Segment); err != nil {
		return err
	}
	if err := l.seg.resume(p.Segment, p.Position); err != nil {
		return err
	}
	return l.seg.trim()
}

func (l *Log) removeSegmentsBehind(base codec.Offset) error {
	names, err := l.fs.ReadDir(l.seg.dir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	for _, n := range names {
		if b, ok := parseSegmentName(n.Name); ok && b > base {
			if err := l.fs.Remove(filepath.Join(l.seg.dir, n.Name)); err != nil {
				return fmt.Errorf("remove segment: %w", err)
			}
		}
	}
	return nil
}

// resume opens the segment of base so that the next batch goes to position.
func (s *segmentWriter) resume(base codec.Offset, position int64) error {
	f, err := s.fs.Open(filepath.Join(s.dir, segmentName(base)), true)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(fmt.Errorf("size of segment: %w", err), f.Close())
	}
	s.file, s.base, s.position, s.allocated, s.durable, s.started, s.written, s.namesNew = f, base, position, size, position, position, true, true
	return nil
}
