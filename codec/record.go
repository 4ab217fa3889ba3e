package codec

import (
	"encoding/binary"
	"math"
)

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte // nil = null
}

// Record is one record as a reader sees it.
type Record struct {
	Offset    Offset
	Timestamp Millis
	Key       []byte // nil = null
	Value     []byte // nil = null
	Headers   []Header
}

// recordBytesMin is the least a record can take: seven fields of one byte.
const recordBytesMin = 7

// Records walks the records of one batch without an allocation per record:
//
//	rs := b.Records(section)
//	for rs.Next() {
//		use(rs.Record())
//	}
//	if err := rs.Err(); err != nil { … }
//
// Everything is checked on the way: lengths, offset deltas 0..n-1, header
// counts, and that nothing is left over at the end.
type Records struct {
	rest   []byte
	base   Offset
	first  Millis
	max    Millis // what the header says
	stamp  bool   // log append time: max stands for every record
	next   int32
	count  int32
	latest Millis // of the records so far
	record Record
	err    error
}

// Records starts a walk over section, the records of b uncompressed: what
// Open returns, or b[BatchHeaderBytes:] of an uncompressed batch.
func (b Batch) Records(section []byte) Records {
	return Records{
		rest: section, base: b.BaseOffset(), first: b.BaseTimestamp(), max: b.MaxTimestamp(),
		stamp: b.Attributes()&attrLogAppendTime != 0, count: b.Count(), latest: math.MinInt64,
	}
}

// Record is the record that Next stepped to. It shares the section's memory;
// it and its Headers are overwritten by the next call of Next.
func (rs *Records) Record() *Record { return &rs.record }

// Err is what ended the walk early, a *Error with code CorruptBatch, or nil.
func (rs *Records) Err() error { return rs.err }

// Next steps to the next record; false at the end or at an error.
func (rs *Records) Next() bool {
	if rs.err != nil {
		return false
	}
	if rs.next == rs.count {
		if len(rs.rest) != 0 {
			rs.err = Errorf(CorruptBatch, "%d bytes follow the last of %d records", len(rs.rest), rs.count)
		}
		return false
	}
	size, n := varint(rs.rest)
	if n == 0 || size < recordBytesMin-1 || size > int64(len(rs.rest)-n) {
		rs.fail("length %d with %d bytes left", size, len(rs.rest)-n)
		return false
	}
	body := rs.rest[n : n+int(size)]
	rs.rest = rs.rest[n+int(size):]
	if !rs.parse(body) {
		return false
	}
	rs.next++
	return true
}

// parse reads one record's body: attributes, timestamp delta, offset delta,
// key, value, headers.
func (rs *Records) parse(p []byte) bool {
	p = p[1:] // attributes: unused by the format
	dt, n := varint(p)
	if n == 0 {
		return rs.fail("timestamp delta is cut off")
	}
	p = p[n:]
	do, n := varint(p)
	if n == 0 || do != int64(rs.next) {
		return rs.fail("offset delta %d", do)
	}
	p = p[n:]
	if !rs.setTime(dt) {
		return rs.fail("timestamp delta %d overflows", dt)
	}
	rs.record.Offset = rs.base + Offset(rs.next)
	var ok bool
	if rs.record.Key, p, ok = field(p); !ok {
		return rs.fail("key runs past the record")
	}
	if rs.record.Value, p, ok = field(p); !ok {
		return rs.fail("value runs past the record")
	}
	return rs.parseHeaders(p)
}

func (rs *Records) setTime(delta int64) bool {
	t := int64(rs.first) + delta
	if (t > int64(rs.first)) != (delta > 0) {
		return false
	}
	rs.record.Timestamp = Millis(t)
	if rs.stamp {
		rs.record.Timestamp = rs.max
	}
	rs.latest = max(rs.latest, rs.record.Timestamp)
	return true
}

// parseHeaders must consume all of p. Header keys repeat from record to
// record, so a key equal to the one before at its place is not made anew.
func (rs *Records) parseHeaders(p []byte) bool {
	count, n := varint(p)
	if n == 0 || count < 0 || count > int64(len(p)-n)/2 {
		return rs.fail("header count %d with %d bytes left", count, len(p)-n)
	}
	p = p[n:]
	hs := rs.record.Headers[:0]
	for i := range int(count) {
		key, rest, ok := field(p)
		if !ok || key == nil {
			return rs.fail("header key runs past the record or is null")
		}
		value, rest, ok := field(rest)
		if !ok {
			return rs.fail("header value runs past the record")
		}
		hs = append(hs, Header{Key: repeated(rs.record.Headers, i, key), Value: value})
		p = rest
	}
	rs.record.Headers = hs
	if len(p) != 0 {
		return rs.fail("%d bytes follow its headers", len(p))
	}
	return true
}

// repeated is key as a string: the one of the record before when equal. hs is
// a record's headers before they were cut to 0, so the backing array is read.
func repeated(hs []Header, i int, key []byte) string {
	if i < cap(hs) {
		if old := hs[:cap(hs)][i].Key; old == string(key) {
			return old
		}
	}
	return string(key)
}

func (rs *Records) fail(format string, args ...any) bool {
	e := Errorf(CorruptBatch, format, args...)
	rs.err = Errorf(CorruptBatch, "record %d of %d: %s", rs.next, rs.count, e.Message)
	return false
}

// field reads a length and that many bytes; length -1 is null.
func field(p []byte) (value, rest []byte, ok bool) {
	size, n := varint(p)
	switch {
	case n == 0 || size < -1 || size > int64(len(p)-n):
		return nil, nil, false
	case size == -1:
		return nil, p[n:], true
	}
	end := n + int(size)
	return p[n:end:end], p[end:], true
}

// varint reads a zigzag varint; n is 0 when p ends before it does or it has
// more than 64 bits.
func varint(p []byte) (v int64, n int) {
	if len(p) > 0 && p[0] < 0x80 {
		return int64(p[0]>>1) ^ -int64(p[0]&1), 1
	}
	v, n = binary.Varint(p)
	return v, max(n, 0)
}
