package wal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// What a follower is told to cut may be what it was told to call committed by
// the same group: the commit index is about the log behind the cut.
func TestACommitBehindACutIsNotOfWhatIsCut(t *testing.T) {
	for name, group := range map[string]func(b *bench) []*Write{
		"entries and commit in one write": func(b *bench) []*Write {
			return []*Write{{Commit: 8, Entries: other(b, 7, 9, 2)}}
		},
		"and a vote": func(b *bench) []*Write {
			return []*Write{{Vote: &Vote{Term: 9}, Commit: 8, Entries: other(b, 7, 9, 2)}}
		},
		"the commit in a write of the same group": func(b *bench) []*Write {
			return []*Write{{Vote: &Vote{Term: 9}, Entries: other(b, 7, 9, 2)}, {Commit: 8}, {Vote: &Vote{Term: 10}, Commit: 8}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.put(10, 2, 100) // entries 2..11
			b.Index.Commit(6)
			require.NoError(t, b.Log.Rest(6))
			writes := group(b)
			require.NoError(t, b.Log.Write(writes...))
			for _, w := range writes {
				b.Index.Add(w.Entries)
			}
			require.LessOrEqual(t, b.Log.hard.now.Commit, codec.Index(6), "nothing above was durable when the vote was written")
			b.Index.Commit(8)
			require.NoError(t, b.Log.Rest(8))
			b.reopen()
			require.Equal(t, codec.Index(8), b.Hard.Commit)
			term, _ := b.Index.Term(8)
			require.Equal(t, codec.Term(9), term)
			require.NoError(t, b.Log.Close())
		})
	}
}

// other are n entries of another leader, from first on.
func other(b *bench, first codec.Index, term codec.Term, n int) (list []Entry) {
	base := b.baseAt(first)
	for i := range n {
		p := batch(b.t, base, term, 2, 100)
		base += 2
		list = append(list, batchEntry(first+codec.Index(i), term, p))
	}
	return list
}

// baseAt is the offset that the first batch at or behind entry index has.
func (b *bench) baseAt(index codec.Index) codec.Offset {
	for index <= b.Index.Last() {
		list, err := b.Index.ReadEntries(index, b.Index.Last()+1, 1<<20)
		require.NoError(b.t, err)
		for i := range list {
			if run, ok, _ := list[i].batches(); ok {
				return run.Base()
			}
		}
		index += codec.Index(len(list))
	}
	return b.Index.Next()
}

// A log whose entries were dropped up to its commit is cut back to nothing.
func TestACutBackToTheBeginning(t *testing.T) {
	for _, reopened := range []bool{true, false} {
		b := newBench(t, Options{WALFileBytes: 400})
		command := func(first codec.Index, n int) {
			w := &Write{}
			for i := range codec.Index(n) {
				w.Entries = append(w.Entries, Entry{Index: first + i, Term: b.term, Data: codec.AppendCommandEntry(nil, fmt.Appendf(nil, "command %d of term %d", first+i, b.term))})
			}
			require.NoError(t, b.Log.Write(w))
			b.Index.Add(w.Entries)
		}
		command(2, 60)
		files := b.Log.wal.files
		require.Greater(t, len(files), 6)
		keep := files[4] - 1 // the last entry of a file
		b.Index.Commit(keep)
		_, err := b.Log.WriteSnapshot(Snapshot{Index: keep, Term: 2})
		require.NoError(t, err)
		require.NoError(t, b.Log.Retain(b.Index.DropEntries(keep)))
		if reopened {
			b.reopen()
			b.Index.Commit(keep)
		}
		for range 3 {
			b.term++
			command(keep+1, 1)
			require.Equal(t, keep+1, b.Index.Last())
			list, err := b.Index.ReadEntries(keep+1, keep+2, 1000)
			require.NoError(t, err)
			require.Equal(t, b.term, list[0].Term)
		}
		command(keep+2, 20)
		last := b.Index.Last()
		b.reopen()
		require.Equal(t, last, b.Index.Last())
		require.NoError(t, b.Log.Close())
	}
}

// An index that was kept in step with appends and cuts is the one that an
// opening makes of the disk, and views of before a cut read what they read.
func TestAnIndexInStepWithCuts(t *testing.T) {
	cuts := map[string]int{}
	for seed := range uint64(40) {
		f := newFollowing(t, seed)
		for range 60 {
			f.step()
			f.judge()
		}
		for what, n := range f.cuts {
			cuts[what] += n
		}
		require.NoError(t, f.Log.Close())
	}
	for _, what := range []string{"over segments", "to a segment's beginning", "within a WAL file", "at a WAL file's border", "to the log's first entry", "without a batch", "with a vote", "without fsync", "twice in a group"} {
		require.Greater(t, cuts[what], 10, "cuts %s", what)
	}
	t.Log(cuts)
}

// following is a follower's log, and all that it should hold.
type following struct {
	*bench
	chance *rand.Rand
	why    string
	all    map[codec.Index]Entry
	views  []*View
	bytes  map[codec.Offset]string // of committed batches, by offset
	cuts   map[string]int
}

func newFollowing(t *testing.T, seed uint64) *following {
	f := &following{
		chance: rand.New(rand.NewPCG(seed, 7)), why: fmt.Sprintf("seed %d", seed), all: map[codec.Index]Entry{},
		bytes: map[codec.Offset]string{}, cuts: map[string]int{},
	}
	f.bench = newBenchIn(t, inMemory(t), Options{SegmentBytes: 1200, WALFileBytes: 600, CacheBytes: 200, NoSync: seed%2 == 1})
	return f
}

func (f *following) step() {
	switch f.chance.IntN(10) {
	case 0, 1, 2:
		f.write(f.Index.Last() + 1)
	case 3, 4, 5, 6:
		floor := f.Index.Committed()
		before, _ := f.Index.Before()
		if f.Index.Last() > max(floor, before) {
			f.term++
			f.write(max(floor, before) + 1 + codec.Index(f.chance.IntN(int(f.Index.Last()-max(floor, before)))))
		}
	case 7:
		if n := int(f.Index.Last() - f.Index.Committed()); n > 0 {
			f.commitTo(f.Index.Committed() + 1 + codec.Index(f.chance.IntN(n)))
		}
	case 8:
		f.Index.SetStart(codec.Offset(f.chance.IntN(int(f.Index.View().HighWatermark()) + 1)))
		if d := f.Index.Drop(1 << 40); d != nil {
			require.NoError(f.t, f.Log.Retain(d))
		}
	default:
		at, start := f.Index.Committed(), f.Index.Start()
		f.reopen()
		f.Index.Commit(at)
		f.Index.SetStart(start)
	}
}

func (f *following) commitTo(index codec.Index) {
	for i := f.Index.Committed() + 1; i <= index; i++ {
		for _, p := range f.all[i].Payloads {
			f.bytes[p.BaseOffset()] = string(p)
		}
	}
	f.Index.Commit(index)
	f.views = append(f.views, f.Index.View())
}

// write hands over one write or two, from entry first on.
func (f *following) write(first codec.Index) {
	cut := first <= f.Index.Last()
	next := f.baseAt(first)
	if cut {
		f.classify(first)
	}
	var group []*Write
	w := &Write{}
	w.Entries, next = f.entries(first, next)
	if cut && f.chance.IntN(3) == 0 {
		w.Vote = &Vote{Term: f.term, For: 2}
		f.cuts["with a vote"]++
	}
	group = append(group, w)
	if f.chance.IntN(4) == 0 {
		f.term++
		again := first + codec.Index(f.chance.IntN(len(w.Entries)))
		for _, e := range w.Entries[again-first:] {
			if run, ok, _ := e.batches(); ok {
				next = run.Base()
				break
			}
		}
		second := &Write{}
		second.Entries, _ = f.entries(again, next)
		group = append(group, second)
		f.cuts["twice in a group"]++
	}
	require.NoError(f.t, f.Log.Write(group...), f.why)
	for _, w := range group {
		f.Index.Add(w.Entries)
		for _, e := range w.Entries {
			f.all[e.Index] = e
		}
	}
}

func (f *following) entries(first codec.Index, next codec.Offset) (list []Entry, limit codec.Offset) {
	for i := range codec.Index(1 + f.chance.IntN(6)) {
		e := Entry{Index: first + i, Term: f.term}
		if n := f.chance.IntN(4); n > 0 {
			var run []codec.Batch
			for range n {
				p := batch(f.t, next, f.term, 1+f.chance.IntN(2), f.chance.IntN(250))
				next += codec.Offset(p.Count())
				run = append(run, p)
			}
			e = batchEntry(first+i, f.term, run...)
		}
		list = append(list, e)
	}
	return list, next
}

// classify counts what kinds of cut there were.
func (f *following) classify(first codec.Index) {
	if f.opts.NoSync {
		f.cuts["without fsync"]++
	}
	if before, _ := f.Index.Before(); first == before+1 {
		f.cuts["to the log's first entry"]++
	}
	border := false
	for _, at := range f.Log.wal.files {
		border = border || at == first
	}
	if border {
		f.cuts["at a WAL file's border"]++
	} else {
		f.cuts["within a WAL file"]++
	}
	segments, batches := map[codec.Offset]bool{}, 0
	for i := first; i <= f.Index.Last(); i++ {
		if e := f.all[i]; len(e.Payloads) > 0 {
			if batches++; batches == 1 && e.Place.Position == 0 {
				f.cuts["to a segment's beginning"]++
			}
			segments[e.Place.Segment] = true
		}
	}
	if batches == 0 {
		f.cuts["without a batch"]++
	}
	if len(segments) > 1 {
		f.cuts["over segments"]++
	}
}

// judge opens a copy of the log and compares.
func (f *following) judge() {
	dir := filepath.Join(filepath.Dir(f.dir), "copy")
	require.NoError(f.t, os.RemoveAll(dir))
	require.NoError(f.t, os.CopyFS(dir, os.DirFS(f.dir)))
	r, err := Inspect(OS{}, dir, nil)
	require.NoError(f.t, err, f.why)
	require.Empty(f.t, r.Torn, f.why)
	o, err := Open(OS{}, dir, f.opts, nil)
	require.NoError(f.t, err, f.why)
	require.Zero(f.t, o.Cut, f.why)
	x := o.Index
	x.Commit(f.Index.Committed())
	x.SetStart(f.Index.Start())
	require.NoError(f.t, o.Log.Close())
	f.same(x)
	for _, v := range f.views {
		f.reads(v)
	}
	if len(f.views) > 3 {
		f.views = f.views[1:]
	}
	f.reads(f.Index.View())
	before, _ := f.Index.Before()
	for lo := before + 1; lo <= f.Index.Last(); {
		list, err := f.Index.ReadEntries(lo, f.Index.Last()+1, 1<<20)
		require.NoError(f.t, err, f.why)
		got, err := f.Index.ReadPayloads(list, 1<<20)
		require.NoError(f.t, err, f.why)
		for i := range list {
			want := f.all[list[i].Index]
			require.Equal(f.t, want.Term, list[i].Term, f.why)
			require.Equal(f.t, want.Payloads, got[i], f.why)
		}
		lo += codec.Index(len(list))
	}
}

// same holds what an index knows against the one that was just made.
func (f *following) same(x *Index) {
	f.t.Helper()
	y := f.Index
	require.Equal(f.t, x.Last(), y.Last(), f.why)
	require.Equal(f.t, x.Next(), y.Next(), f.why)
	require.Equal(f.t, x.AppendTime(), y.AppendTime(), f.why)
	require.Equal(f.t, x.Start(), y.Start(), f.why)
	require.Equal(f.t, x.readable, y.readable, f.why)
	require.Equal(f.t, len(x.tail), len(y.tail), f.why)
	for i := range x.tail {
		require.Equal(f.t, x.tail[i], y.tail[i], f.why)
	}
	require.Equal(f.t, x.segments(), y.segments(), f.why)
	for i := x.before; i <= x.last; i++ {
		want, _ := x.Term(i)
		got, ok := y.Term(i)
		require.True(f.t, ok, f.why)
		require.Equal(f.t, want, got, "%s: term of entry %d", f.why, i)
	}
	list, ok := y.Entries(y.Last(), y.Last()+1, 1)
	if y.Last() > y.before && ok {
		require.Equal(f.t, f.all[y.Last()].Term, list[0].Term, f.why)
		require.Equal(f.t, f.all[y.Last()].Place, list[0].Place, f.why)
	}
	a, b := x.View(), y.View()
	for i := range a.Segments() {
		for o := a.segment(i).base; o < a.segment(i).limit; o++ {
			require.Equal(f.t, a.epochAt(o), b.epochAt(o), "%s: epoch of offset %d", f.why, o)
		}
	}
}

// reads reads all of a view: what was committed, whatever was cut since.
func (f *following) reads(v *View) {
	f.t.Helper()
	for o := v.Start(); o < v.HighWatermark(); {
		p, err := v.Read(nil, o, 1)
		if err == ErrGone {
			return
		}
		require.NoError(f.t, err, f.why)
		b := codec.Batch(p)
		require.Equal(f.t, f.bytes[b.BaseOffset()], string(p), f.why)
		o = b.BaseOffset() + codec.Offset(b.Count())
	}
}
