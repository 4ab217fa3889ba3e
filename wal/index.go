package wal

import (
	"fmt"
	"math"
	"sort"

	"github.com/troupe-mq/troupe/codec"
)

// Index is what a replica knows by heart of its log: the terms and places of
// entries, the newest entries themselves, and the segments of batches. It is
// built by Open and kept in step by its one owner, the replica's actor, which
// tells it what became durable. Readers get a View.
type Index struct {
	fs   FS
	dir  string // of the segments
	wal  string // the directory of the descriptors
	cuts *cuts  // of the log, for those who read beside it

	before     codec.Index // the entry before the first
	beforeTerm codec.Term
	begin      beginning
	last       codec.Index
	terms      []termRun
	epochs     []EpochStart // one for each term that has data

	closed  []*segment // ended segments, ascending; elements never change
	active  segment    // the newest; base is noSegment without any
	next    codec.Offset
	appends codec.Millis // append time of the last batch

	start    codec.Offset // committed start
	commit   codec.Index
	readable mark2 // the end of what is committed

	cache      []Entry // entries (last-len, last]
	cacheBytes int
	cacheMax   int
	tail       []mark2 // the ends of data entries above commit, ascending
}

// termRun says that entries from First on have Term, up to the next run.
type termRun struct {
	Term  codec.Term
	First codec.Index
}

// EpochStart says that batches from Offset on have Epoch, up to the next.
type EpochStart struct {
	Epoch  codec.Epoch
	Offset codec.Offset
}

// segment is the memory of one segment file.
type segment struct {
	base   codec.Offset
	limit  codec.Offset // behind the last record
	first  codec.Index  // of the first batch's entry
	last   codec.Index  // of the last batch's entry
	bytes  int64
	newest codec.Millis // latest record timestamp
	lastAt codec.Millis // append time of the last batch
	marks  []mark       // one for each markBytes or more; append only
}

// mark is one point of a segment's sparse index.
type mark struct {
	offset   codec.Offset
	position int64
	newest   codec.Millis // latest record timestamp before this point
}

// markBytes is the distance between marks: what a look-up reads in vain at
// most, short of one batch.
const markBytes = 32 << 10

// noSegment is the base of an active segment that does not exist.
const noSegment codec.Offset = -1

// mark2 is the end of a data entry: the offset and where it lies, and what its
// segment is up to there.
type mark2 struct {
	offset   codec.Offset
	segment  codec.Offset
	position int64
	newest   codec.Millis // latest record timestamp
	entry    codec.Index
	appended codec.Millis
}

// beginning is where the offsets of the first entry's batches begin.
type beginning struct {
	next    codec.Offset
	appends codec.Millis
}

// newIndex is of the log that h names, in the directory of a replica.
func newIndex(fs FS, replica string, h Hard, o Options) *Index {
	n := incarnation(h.Log)
	x := &Index{
		fs: fs, dir: n.dir(replica, segmentDir), wal: n.dir(replica, walDir), cuts: &cuts{}, before: h.Before, beforeTerm: h.BeforeTerm, last: h.Before,
		active: segment{base: noSegment}, next: h.Next, appends: h.AppendTime, start: h.Start,
		commit: h.Before, cacheMax: o.CacheBytes,
	}
	x.begin = beginning{h.Next, h.AppendTime}
	x.readable = mark2{offset: h.Next, segment: noSegment, entry: h.Before, appended: h.AppendTime}
	return x
}

// Add tells of entries that were made durable, in order. The first may be at
// or below the last: what it replaces is forgotten.
func (x *Index) Add(entries []Entry) {
	for i := range entries {
		x.add(&entries[i])
	}
	x.trimCache()
}

func (x *Index) add(e *Entry) {
	if e.Index <= x.last {
		x.truncate(e.Index)
	}
	if e.Index != x.last+1 {
		panic(fmt.Sprintf("wal: index of %s gets entry %d behind %d", x.dir, e.Index, x.last))
	}
	x.last = e.Index
	if n := len(x.terms); n == 0 || x.terms[n-1].Term != e.Term {
		x.terms = append(x.terms, termRun{e.Term, e.Index})
	}
	x.cache = append(x.cache, Entry{Index: e.Index, Term: e.Term, Type: e.Type, Data: e.Data, Place: e.Place})
	x.cacheBytes += len(e.Data)
	if run, ok, err := e.batches(); err != nil {
		panic("wal: durable entry does not hold: " + err.Error())
	} else if ok {
		x.addBatches(e, run)
	}
}

// follows says whether a batch may lie at p: behind the last one, or at the
// beginning of a segment that it names.
func (x *Index) follows(p Place, base codec.Offset) bool {
	if p.Segment == x.active.base {
		return p.Position == x.active.bytes
	}
	return p.Position == 0 && p.Segment == base
}

func (x *Index) addBatches(e *Entry, run codec.Run) {
	if base := run.Base(); base != x.next {
		panic(fmt.Sprintf("wal: entry %d of %s has base offset %d, want %d", e.Index, x.dir, base, x.next))
	}
	epoch, _ := codec.EpochOf(e.Term)
	if n := len(x.epochs); n == 0 || x.epochs[n-1].Epoch != epoch {
		x.epochs = append(x.epochs, EpochStart{epoch, x.next})
	}
	if x.active.base != e.Place.Segment {
		if x.active.base != noSegment {
			ended := x.active
			x.closed = append(x.closed, &ended)
		}
		x.active = segment{base: e.Place.Segment, first: e.Index, newest: math.MinInt64}
	}
	s := &x.active
	s.bytes = e.Place.Position
	for i := range run.Len() {
		s.add(run.At(i))
	}
	s.last = e.Index
	x.next, x.appends = s.limit, s.lastAt
	x.tail = append(x.tail, mark2{s.limit, s.base, s.bytes, s.newest, s.last, s.lastAt})
}

// add takes in the batch behind the last.
func (s *segment) add(d codec.Descriptor) {
	if n := len(s.marks); n == 0 || s.bytes-s.marks[n-1].position >= markBytes {
		s.marks = append(s.marks, mark{d.BaseOffset, s.bytes, s.newest})
	}
	s.bytes += int64(d.Size)
	s.limit, s.lastAt = d.Limit(), d.AppendTime
	s.newest = max(s.newest, d.MaxTimestamp)
}

// truncate forgets entries from index on. Nothing of them was committed, so
// no View has them; what Views share is copied before it is written again.
func (x *Index) truncate(from codec.Index) {
	if from <= x.commit {
		panic(fmt.Sprintf("wal: cut of %s at entry %d, committed up to %d", x.dir, from, x.commit))
	}
	keep := sort.Search(len(x.tail), func(i int) bool { return x.tail[i].entry >= from })
	if codec.Mutant("cut-not-made") {
		keep = len(x.tail)
	}
	if keep < len(x.tail) {
		end := x.readable
		if keep > 0 {
			end = x.tail[keep-1]
		}
		x.rewind(end)
	}
	x.tail = x.tail[:keep]
	for n := len(x.terms); n > 0 && x.terms[n-1].First >= from; n = len(x.terms) {
		x.terms = x.terms[:n-1]
	}
	first := x.last - codec.Index(len(x.cache)) + 1
	drop := x.cache[max(0, int64(from)-int64(first)):]
	for i := range drop {
		x.cacheBytes -= len(drop[i].Data)
	}
	x.cache = x.cache[:len(x.cache)-len(drop)]
	x.last = from - 1
}

// rewind makes end the end of the data.
func (x *Index) rewind(end mark2) {
	for x.active.base != end.segment && len(x.closed) > 0 {
		n := len(x.closed) - 1
		x.active, x.closed = *x.closed[n], x.closed[:n:n]
	}
	if x.active.base != end.segment {
		x.active = segment{base: noSegment}
	}
	s := &x.active
	k := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].position >= end.position })
	s.marks = append([]mark(nil), s.marks[:k]...)
	s.bytes, s.limit, s.newest, s.last, s.lastAt = end.position, end.offset, end.newest, end.entry, end.appended
	x.next, x.appends = end.offset, end.appended
	k = sort.Search(len(x.epochs), func(i int) bool { return x.epochs[i].Offset >= end.offset })
	x.epochs = append([]EpochStart(nil), x.epochs[:k]...)
}

// trimCache forgets the oldest entries above the bound, but none that is not
// committed: consensus reads those to apply them.
func (x *Index) trimCache() {
	n := 0
	for n < len(x.cache) && x.cacheBytes > x.cacheMax && x.cache[n].Index <= x.commit {
		x.cacheBytes -= len(x.cache[n].Data)
		n++
	}
	if n > 0 && n*2 >= len(x.cache) {
		x.cache = append([]Entry(nil), x.cache[n:]...)
	} else if n > 0 {
		clear(x.cache[:n])
		x.cache = x.cache[n:]
	}
}

// own copies what the cache holds, so that it keeps no whole file alive.
func (x *Index) own() {
	x.cache = append([]Entry(nil), x.cache...)
	for i := range x.cache {
		x.cache[i].Data = append([]byte(nil), x.cache[i].Data...)
	}
}

// Commit tells that entries up to index are committed. Published views made
// from now on show them.
func (x *Index) Commit(index codec.Index) {
	if index <= x.commit {
		return
	}
	if index > x.last {
		panic(fmt.Sprintf("wal: commit %d of %s past its end %d", index, x.dir, x.last))
	}
	x.commit = index
	n := sort.Search(len(x.tail), func(i int) bool { return x.tail[i].entry > index })
	if n > 0 {
		x.readable = x.tail[n-1]
		x.tail = x.tail[n:]
		if len(x.tail) == 0 {
			x.tail = nil
		}
	}
	x.trimCache()
}

// SetStart moves the committed start; it never goes back, nor is it moved past
// the watermark. That of an installed snapshot may be ahead of the log, until
// the entries that it is in are there.
func (x *Index) SetStart(start codec.Offset) {
	x.start = max(x.start, min(start, x.readable.offset))
}

// Start is the committed start offset.
func (x *Index) Start() codec.Offset { return x.start }

// Next is the offset behind the last record of the log, committed or not.
func (x *Index) Next() codec.Offset { return x.next }

// AppendTime is the leader's clock of the last batch, committed or not.
func (x *Index) AppendTime() codec.Millis { return x.appends }

// Before is the entry before the first, and its term.
func (x *Index) Before() (codec.Index, codec.Term) { return x.before, x.beforeTerm }

// Begin is what the entries up to Before leave behind: the next offset, and the
// leader's clock of the last batch.
func (x *Index) Begin() (next codec.Offset, appendTime codec.Millis) {
	return x.begin.next, x.begin.appends
}

// Last is the index of the last durable entry.
func (x *Index) Last() codec.Index { return x.last }

// Committed is the highest index given to Commit.
func (x *Index) Committed() codec.Index { return x.commit }

// Term is the term of entry i; ok is false when the log does not know it.
func (x *Index) Term(i codec.Index) (term codec.Term, ok bool) {
	if i == x.before {
		return x.beforeTerm, true
	}
	if i < x.before || i > x.last {
		return 0, false
	}
	n := sort.Search(len(x.terms), func(k int) bool { return x.terms[k].First > i })
	return x.terms[n-1].Term, true
}

// Entries are entries [lo, hi) from memory, each with its Place, at least one
// and no more than maxBytes of data; ok is false when they are no longer in
// memory, and ReadEntries has them. The caller must not change them. The slice
// is the index's own and holds until its next change: who keeps it, or hands it
// to the lane, clones it. The Data in it never change.
func (x *Index) Entries(lo, hi codec.Index, maxBytes uint64) (out []Entry, ok bool) {
	first := x.last - codec.Index(len(x.cache)) + 1
	if lo < first || hi > x.last+1 || lo >= hi {
		return nil, false
	}
	list := x.cache[lo-first : hi-first]
	bytes := uint64(0)
	for i := range list {
		bytes += uint64(len(list[i].Data))
		if i > 0 && bytes > maxBytes {
			return list[:i:i], true
		}
	}
	return list[:len(list):len(list)], true
}

// ReadEntries reads entries [lo, hi) from the disk, at least one and no more
// than maxBytes of data, each with its Place. It uses nothing of the index that
// changes. Entries that no cut can take away, such as the committed ones, may be
// read anywhere, beside the writer, whatever it cuts above them; others on the
// log's lane. Errors: ErrGone when the log holds lo no longer,
// Corrupt, or the disk's.
func (x *Index) ReadEntries(lo, hi codec.Index, maxBytes uint64) ([]Entry, error) {
	return readBeside(x.fs, x.wal, x.cuts, lo, hi, maxBytes)
}
