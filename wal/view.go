package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"

	"github.com/troupe-mq/troupe/codec"
)

// View is a replica's log as readers see it: the committed batches at one
// moment. It never changes, so any number of goroutines read it, beside the
// writer and without asking it.
type View struct {
	fs     FS
	dir    string
	start  codec.Offset
	end    codec.Offset
	before []*segment // whole segments
	last   segment    // the one that holds the end, up to it
	epochs []EpochStart
}

// ErrGone says that retention, a cut or a snapshot took away what an older view
// or index had: take the newest and read again.
var ErrGone = errors.New("it is gone from the log: take the newest view")

// View publishes what is committed now.
func (x *Index) View() *View {
	if codec.Mutant("uncommitted-is-read") && len(x.tail) > 0 {
		was, tail := x.readable, x.tail
		x.readable, x.tail = tail[len(tail)-1], nil
		defer func() { x.readable, x.tail = was, tail }()
	}
	if codec.Mutant("watermark-off-by-one") && len(x.tail) > 0 {
		was := x.readable
		x.readable = x.tail[0]
		defer func() { x.readable = was }()
	}
	v := &View{fs: x.fs, dir: x.dir, start: x.start, end: x.readable.offset, last: segment{base: noSegment}}
	if x.readable.segment == noSegment {
		return v
	}
	k := len(x.closed)
	s := &x.active
	for s.base != x.readable.segment {
		k--
		s = x.closed[k]
	}
	v.before = x.closed[:k:k]
	v.last = *s
	v.last.limit, v.last.bytes, v.last.newest = x.readable.offset, x.readable.position, x.readable.newest
	m := len(s.marks)
	for m > 0 && s.marks[m-1].position >= x.readable.position {
		m--
	}
	v.last.marks = s.marks[:m:m]
	e := len(x.epochs)
	for e > 0 && x.epochs[e-1].Offset >= x.readable.offset {
		e--
	}
	v.epochs = x.epochs[:e:e]
	return v
}

// Start is the first offset that may be read.
func (v *View) Start() codec.Offset { return v.start }

// HighWatermark is the offset behind the last committed record.
func (v *View) HighWatermark() codec.Offset { return v.end }

// Bytes is the size of all batches in the view's segments.
func (v *View) Bytes() int64 {
	n := v.last.bytes
	for _, s := range v.before {
		n += s.bytes
	}
	return n
}

// Segments is the number of segment files in the view.
func (v *View) Segments() int {
	if v.last.base == noSegment {
		return 0
	}
	return len(v.before) + 1
}

// segment is the i-th segment of the view.
func (v *View) segment(i int) *segment {
	if i < len(v.before) {
		return v.before[i]
	}
	return &v.last
}

// epochAt is the epoch in which the batch at offset was proposed.
func (v *View) epochAt(offset codec.Offset) codec.Epoch {
	n := sort.Search(len(v.epochs), func(i int) bool { return v.epochs[i].Offset > offset })
	return v.epochs[n-1].Epoch
}

// Read appends whole batches to dst, from the one that holds offset on: at
// most maxBytes, or the first alone when it is larger, and of one segment.
// Each batch is checked against what the log says must be there. At the high
// watermark it returns dst as it was. Errors: *codec.Error with
// OffsetOutOfRange or OffsetNotAvailable, Corrupt, ErrGone, or the disk's.
func (v *View) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	if offset < v.start {
		return dst, codec.Errorf(codec.OffsetOutOfRange, "offset %d is below the log's start %d", offset, v.start)
	}
	if offset > v.end {
		return dst, codec.Errorf(codec.OffsetNotAvailable, "offset %d is above the high watermark %d", offset, v.end)
	}
	if offset == v.end {
		return dst, nil
	}
	i := sort.Search(v.Segments(), func(i int) bool { return v.segment(i).limit > offset })
	s := v.segment(i)
	r, err := v.open(s)
	if err != nil {
		return dst, err
	}
	m := s.markBefore(offset)
	dst, err = r.read(dst, m, offset, maxBytes)
	return dst, errors.Join(err, r.file.Close())
}

// markBefore is the last mark at or before offset.
func (s *segment) markBefore(offset codec.Offset) mark {
	n := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].offset > offset })
	return s.marks[n-1]
}

// segmentReader reads one segment of a view.
type segmentReader struct {
	view *View
	seg  *segment
	file File
	name string
}

func (v *View) open(s *segment) (*segmentReader, error) {
	name := filepath.Join(v.dir, segmentName(s.base))
	f, err := v.fs.Open(name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	return &segmentReader{v, s, f, name}, nil
}

// readMax bounds what one read returns, whatever is asked for.
const readMax = 1 << 30

// read appends the batches from offset on; m is a mark before it.
func (r *segmentReader) read(dst []byte, m mark, offset codec.Offset, maxBytes int) ([]byte, error) {
	whole := len(dst)
	maxBytes = min(maxBytes, readMax)
	want := max(maxBytes, codec.BatchHeaderBytes) + markBytes
	at, next := m.position, m.offset
	for {
		n := int(min(int64(want), r.seg.bytes-at))
		dst = slices.Grow(dst[:whole], n)[:whole+n]
		if err := r.fill(dst[whole:], at); err != nil {
			return dst[:whole], err
		}
		got, skip, need, err := r.take(dst[whole:], at, next, offset, maxBytes)
		if err != nil {
			return dst[:whole], err
		}
		if got > skip {
			copy(dst[whole:], dst[whole+skip:whole+got])
			return dst[:whole+got-skip], nil
		}
		// Not even one batch: it is larger than what was read, or lies behind.
		at, next, want = at+int64(skip), need.next, max(need.bytes, want)
	}
}

// fill reads len(buf) bytes at position at.
func (r *segmentReader) fill(buf []byte, at int64) error {
	got, err := readFull(r.file, buf, at)
	if err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	if got < len(buf) {
		return corruptf(r.name, at+int64(got), "the file ends %d bytes before its last batch does", len(buf)-got)
	}
	return nil
}

// needed is what a read goes on with.
type needed struct {
	next  codec.Offset
	bytes int
}

// take walks the batches in p, which begins at position at with the batch at
// offset next: skip is where the batch that holds offset begins, got where the
// batches to return end.
func (r *segmentReader) take(p []byte, at int64, next, offset codec.Offset, maxBytes int) (got, skip int, need needed, err error) {
	pos := 0
	for at+int64(pos) < r.seg.bytes {
		size, err := r.size(p[pos:], at+int64(pos), next)
		if err != nil {
			return 0, 0, needed{}, err
		}
		if size > len(p)-pos {
			if got > skip {
				break
			}
			return pos, pos, needed{next, max(size, codec.BatchHeaderBytes)}, nil
		}
		b := codec.Batch(p[pos : pos+size])
		if got > skip && pos+size-skip > maxBytes {
			break
		}
		if err := r.check(b, at+int64(pos), next); err != nil {
			return 0, 0, needed{}, err
		}
		next += codec.Offset(b.Count())
		pos += size
		if next <= offset {
			skip, got = pos, pos
		} else {
			got = pos
		}
	}
	if next <= offset {
		return 0, 0, needed{}, corruptf(r.name, at+int64(pos), "the segment ends at offset %d, want %d", next, r.seg.limit)
	}
	return got, skip, needed{next, 0}, nil
}

// size is the size of the batch at the head of p, which may be cut short;
// one behind p when not even the size can be read.
func (r *segmentReader) size(p []byte, at int64, next codec.Offset) (int, error) {
	if rest := r.seg.bytes - at; rest < codec.BatchHeaderBytes {
		return 0, corruptf(r.name, at, "%d bytes are left for the batch at offset %d", rest, next)
	}
	if len(p) < codec.BatchHeaderBytes {
		return codec.BatchHeaderBytes + len(p), nil
	}
	size := codec.Batch(p).Size()
	if size < codec.BatchHeaderBytes || int64(size) > r.seg.bytes-at {
		return 0, corruptf(r.name, at, "batch at offset %d says it has %d bytes", next, size)
	}
	return size, nil
}

// check compares a batch with what must be there: the offset that follows
// from the one before, the epoch of that offset, and a checksum that holds.
func (r *segmentReader) check(b codec.Batch, at int64, next codec.Offset) error {
	if b.BaseOffset() != next {
		return corruptf(r.name, at, "batch has base offset %d, want %d", b.BaseOffset(), next)
	}
	if want := r.view.epochAt(next); b.Epoch() != want {
		return corruptf(r.name, at, "batch at offset %d has epoch %d, want %d", next, b.Epoch(), want)
	}
	if err := b.CheckHead(); err != nil && !codec.Mutant("rot-is-served") {
		return corruptf(r.name, at, "batch at offset %d: %v", next, err)
	}
	if end := next + codec.Offset(b.Count()); end > r.seg.limit {
		return corruptf(r.name, at, "batch at offset %d ends at %d, behind its segment's end %d", next, end, r.seg.limit)
	}
	return nil
}
