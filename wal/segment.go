package wal

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

const segmentSuffix = ".seg"

func segmentName(base codec.Offset) string { return fmt.Sprintf("%020d%s", base, segmentSuffix) }

// parseSegmentName reads the name of a segment file.
func parseSegmentName(name string) (base codec.Offset, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return codec.Offset(n), err == nil && n >= 0
}

// segmentWriter appends batches to the newest segment file. What it wrote is
// durable after sync.
type segmentWriter struct {
	fs       FS
	dir      string
	bytesMax int64

	file      File // nil before the first batch
	base      codec.Offset
	position  int64 // where the next batch goes
	allocated int64 // bytes that the file has room for
	durable   int64 // of position, as of the last sync
	namesNew  bool  // the file's name is not durable yet
	written   bool  // bytes were written since the last sync

	started int64 // of position, as of the last write-back

	pending [][]byte // batches placed and not yet written, from pendingAt on
	at      int64
}

// Room is made ahead in steps that double, so that a busy segment rarely
// changes its size and an idle one takes little.
const (
	allocateMin = 256 << 10
	allocateMax = 16 << 20
)

// place gives batches of bytes in all their place, together: behind the last
// batch, or in a new segment named by the base offset of the first. Nothing is
// durable yet, nor even written.
func (s *segmentWriter) place(batches []codec.Batch, bytes int64) (Place, error) {
	if s.file == nil || s.position > 0 && s.position+bytes > s.bytesMax {
		if err := s.roll(batches[0].BaseOffset()); err != nil {
			return Place{}, err
		}
	}
	p := Place{Segment: s.base, Position: s.position}
	if len(s.pending) == 0 {
		s.at = s.position
	}
	for _, b := range batches {
		s.pending = append(s.pending, b)
	}
	s.position += bytes
	return p, nil
}

// roll ends the present segment, durably, and begins another.
func (s *segmentWriter) roll(base codec.Offset) error {
	if err := s.end(); err != nil {
		return err
	}
	f, err := s.fs.Open(filepath.Join(s.dir, segmentName(base)), true)
	if err != nil {
		return fmt.Errorf("make segment: %w", err)
	}
	s.file, s.base, s.position, s.allocated, s.durable, s.started, s.namesNew, s.written = f, base, 0, 0, 0, 0, true, true
	// A file of this name may be left from before a crash or a cut.
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("clear segment: %w", err)
	}
	return nil
}

// end makes the present segment durable at its true size and lets it go.
func (s *segmentWriter) end() error {
	if s.file == nil {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.trim(); err != nil {
		return err
	}
	if err := s.sync(); err != nil {
		return err
	}
	f := s.file
	s.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	return nil
}

// trim ends the file where the next batch goes: room is given up, and what is
// left there of batches that were cut.
func (s *segmentWriter) trim() error {
	if s.allocated <= s.position {
		return nil
	}
	if err := s.file.Truncate(s.position); err != nil {
		return fmt.Errorf("trim segment: %w", err)
	}
	s.allocated, s.written = s.position, true
	return nil
}

// flush writes what was placed.
func (s *segmentWriter) flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	if err := s.allocate(); err != nil {
		return err
	}
	if err := s.file.WriteAt(s.at, s.pending...); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	clear(s.pending)
	s.pending = s.pending[:0]
	s.written = true
	return nil
}

func (s *segmentWriter) allocate() error {
	if s.position <= s.allocated {
		return nil
	}
	grow := min(max(s.allocated, allocateMin), allocateMax)
	to := min(max(s.allocated+grow, s.position), max(s.bytesMax, s.position))
	err := s.file.Allocate(s.allocated, to-s.allocated)
	switch {
	case IsFull(err):
		// The batches at hand may still fit; if not, the write will say so.
		s.allocated = s.position
	case err != nil:
		return fmt.Errorf("allocate segment: %w", err)
	default:
		s.allocated = to
	}
	return nil
}

// writeBackBytes is how much is gathered before the disk is asked to begin
// with it.
const writeBackBytes = 4 << 20

// writeBack has the disk begin with what no fsync will cover soon, so that the
// one that ends the segment does not find all of it.
func (s *segmentWriter) writeBack() {
	if s.file == nil || s.position-s.started < writeBackBytes {
		return
	}
	s.file.WriteBack(s.started, s.position-s.started)
	s.started = s.position
}

// unsynced says whether there is anything to make durable.
func (s *segmentWriter) unsynced() bool { return s.file != nil && (s.written || s.namesNew) }

// sync makes durable what flush wrote.
func (s *segmentWriter) sync() error {
	if !s.unsynced() {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return &SyncFailed{err}
	}
	return s.synced()
}

// synced goes on when the file was fsynced: its name is made durable too.
func (s *segmentWriter) synced() error {
	if s.file != nil && s.namesNew {
		if err := s.fs.SyncDir(s.dir); err != nil {
			return &SyncFailed{err}
		}
	}
	s.written, s.namesNew, s.durable = false, false, s.position
	return nil
}

// cutBack gives room back that a full disk has for what is not durable, and
// for what was made ahead.
func (s *segmentWriter) cutBack() error {
	if s.file == nil {
		return nil
	}
	return s.file.Truncate(s.durable)
}

// close lets the file go as it is.
func (s *segmentWriter) close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
