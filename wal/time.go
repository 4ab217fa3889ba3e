package wal

import (
	"errors"

	"github.com/troupe-mq/troupe/codec"
)

// openBytesMax bounds what one compressed batch may become in a look-up.
const openBytesMax = 64 << 20

// OffsetForTime is the earliest readable offset whose record has a timestamp
// at or after t, exact inside a batch; found is false when there is none. A
// batch whose records cannot be decoded counts as a whole: its first offset
// is the answer when its header says that it reaches t.
func (v *View) OffsetForTime(t codec.Millis) (offset codec.Offset, at codec.Millis, found bool, err error) {
	for i := range v.Segments() {
		s := v.segment(i)
		if s.newest < t || s.limit <= v.start {
			continue
		}
		offset, at, found, err = v.timeInSegment(s, t)
		if found || err != nil {
			return offset, at, found, err
		}
	}
	return 0, 0, false, nil
}

// timeInSegment searches from the first stretch between marks that reaches t.
func (v *View) timeInSegment(s *segment, t codec.Millis) (offset codec.Offset, at codec.Millis, found bool, err error) {
	k := 0
	for k+1 < len(s.marks) && (s.marks[k+1].newest < t || s.marks[k+1].offset <= v.start) {
		k++
	}
	r, err := v.open(s)
	if err != nil {
		return 0, 0, false, err
	}
	defer func() { err = errors.Join(err, r.file.Close()) }()
	next := s.marks[k].offset
	position := s.marks[k].position
	var buf []byte
	for position < s.bytes {
		buf, err = r.read(buf[:0], mark{offset: next, position: position}, next, markBytes)
		if err != nil {
			return 0, 0, false, err
		}
		for rest := buf; len(rest) > 0; {
			b := codec.Batch(rest)
			b = b[:b.Size()]
			if offset, at, found = firstAt(b, t, v.start); found {
				return offset, at, true, nil
			}
			next += codec.Offset(b.Count())
			rest = rest[len(b):]
		}
		position += int64(len(buf))
	}
	return 0, 0, false, nil
}

// firstAt is the first record of b at or behind offset from with a timestamp
// at or after t.
func firstAt(b codec.Batch, t codec.Millis, from codec.Offset) (codec.Offset, codec.Millis, bool) {
	if b.MaxTimestamp() < t || b.BaseOffset()+codec.Offset(b.Count()) <= from {
		return 0, 0, false
	}
	section, err := b.Open(openBytesMax)
	if err != nil {
		return max(b.BaseOffset(), from), b.MaxTimestamp(), true
	}
	rs := b.Records(section)
	for rs.Next() {
		if r := rs.Record(); r.Timestamp >= t && r.Offset >= from {
			return r.Offset, r.Timestamp, true
		}
	}
	if rs.Err() != nil {
		return max(b.BaseOffset(), from), b.MaxTimestamp(), true
	}
	return 0, 0, false
}
