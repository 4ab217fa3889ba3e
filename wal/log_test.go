package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// birth is the hard state of a new replica: its log begins behind entry 1.
var birth = Hard{Group: 7, Replica: 3, Term: 1, Commit: 1, Durable: 1, Before: 1, BeforeTerm: 1, Conf: []byte("conf"), ConfAsOf: 1}

// bench is one replica's log under test, with the index kept in step.
type bench struct {
	t    testing.TB
	dir  string
	opts Options
	*Opened
	term codec.Term
}

func newBench(t testing.TB, o Options) *bench { return newBenchIn(t, t.TempDir(), o) }

func newBenchIn(t testing.TB, dir string, o Options) *bench {
	b := &bench{t: t, dir: filepath.Join(dir, "r"), opts: o, term: 2}
	require.NoError(t, Create(OS{}, b.dir, birth))
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	b.Opened, err = Open(OS{}, b.dir, b.opts, nil)
	require.NoError(b.t, err)
}

// reopen closes as kill -9 does: nothing is written.
func (b *bench) reopen() {
	b.t.Helper()
	require.NoError(b.t, b.Log.Close())
	b.open()
}

// value is what record offset of a test's log holds.
func value(offset codec.Offset, bytes int) []byte {
	v := fmt.Appendf(nil, "record %d ", offset)
	for len(v) < bytes {
		v = append(v, byte('a'+len(v)%26))
	}
	return v[:max(bytes, 10)]
}

// batch makes the batch of n records that belongs at base.
func batch(t testing.TB, base codec.Offset, term codec.Term, n, bytes int) codec.Batch {
	var build codec.Builder
	for i := range n {
		o := base + codec.Offset(i)
		build.Append(codec.Millis(1000*o), fmt.Appendf(nil, "k%d", o), value(o, bytes), nil)
	}
	p, err := build.Build(codec.NoCompression)
	require.NoError(t, err)
	epoch, _ := codec.EpochOf(term)
	p = append(codec.Batch(nil), p...)
	p.Stamp(base, epoch)
	return p
}

func batchEntry(index codec.Index, term codec.Term, batches ...codec.Batch) Entry {
	e := Entry{Index: index, Term: term, Payloads: batches}
	var run []codec.Descriptor
	for _, p := range batches {
		run = append(run, codec.Describe(p, codec.Millis(index)))
	}
	e.Data = codec.AppendBatchEntry(nil, run...)
	return e
}

// putTogether writes n batches of records each as one entry.
func (b *bench) putTogether(n, records, bytes int) {
	b.t.Helper()
	var all []codec.Batch
	for next := b.Index.Next(); n > 0; n-- {
		all = append(all, batch(b.t, next, b.term, records, bytes))
		next += codec.Offset(records)
	}
	w := &Write{Entries: []Entry{batchEntry(b.Index.Last()+1, b.term, all...)}}
	require.NoError(b.t, b.Log.Write(w))
	b.Index.Add(w.Entries)
}

// put writes n batches of records each as one Write and tells the index.
func (b *bench) put(n, records, bytes int) {
	b.t.Helper()
	w := &Write{}
	next, index := b.Index.Next(), b.Index.Last()
	for range n {
		index++
		p := batch(b.t, next, b.term, records, bytes)
		w.Entries = append(w.Entries, batchEntry(index, b.term, p))
		next += codec.Offset(records)
	}
	require.NoError(b.t, b.Log.Write(w))
	b.Index.Add(w.Entries)
}

func (b *bench) commit() { b.Index.Commit(b.Index.Last()) }

// records reads [from, to the watermark) and checks every value.
func (b *bench) records(v *View, from codec.Offset, bytes int) (n int) {
	b.t.Helper()
	for from < v.HighWatermark() {
		p, err := v.Read(nil, from, 64<<10)
		require.NoError(b.t, err)
		require.NotEmpty(b.t, p)
		for len(p) > 0 {
			one := codec.Batch(p)
			one = one[:one.Size()]
			rs := one.Records(one[codec.BatchHeaderBytes:])
			for rs.Next() {
				require.Equal(b.t, string(value(rs.Record().Offset, bytes)), string(rs.Record().Value))
				if rs.Record().Offset >= from {
					n++
				}
			}
			require.NoError(b.t, rs.Err())
			from = one.BaseOffset() + codec.Offset(one.Count())
			p = p[len(one):]
		}
	}
	return n
}

func TestWhatWasWrittenIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		name            string
		writes, batches int
		records, bytes  int
		segment         int64
	}{
		{"one record", 1, 1, 1, 20, 0},
		{"many batches in one write", 1, 50, 3, 100, 0},
		{"many writes over many segments", 60, 3, 5, 400, 1 << 15},
		{"batches larger than a segment", 3, 2, 4, 20000, 1 << 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Options{SegmentBytes: c.segment})
			for range c.writes {
				b.put(c.batches, c.records, c.bytes)
			}
			require.Zero(t, b.Index.View().HighWatermark(), "nothing is readable before it is committed")
			b.commit()
			total := c.writes * c.batches * c.records
			require.Equal(t, total, b.records(b.Index.View(), 0, c.bytes))
			b.reopen()
			require.Zero(t, b.Cut)
			require.Zero(t, b.Index.View().HighWatermark(), "what is committed is for consensus to say")
			b.commit()
			for _, from := range []codec.Offset{0, codec.Offset(total / 2), codec.Offset(total - 1)} {
				require.Equal(t, total-int(from), b.records(b.Index.View(), from, c.bytes))
			}
			require.NoError(t, b.Log.Close())
		})
	}
}

func TestReadsOutsideTheLogSayWhere(t *testing.T) {
	b := newBench(t, Options{})
	b.put(4, 10, 50)
	b.commit()
	b.Index.SetStart(15)
	v := b.Index.View()
	_, err := v.Read(nil, 14, 100)
	require.EqualError(t, err, "OFFSET_OUT_OF_RANGE: offset 14 is below the log's start 15")
	_, err = v.Read(nil, 41, 100)
	require.EqualError(t, err, "OFFSET_NOT_AVAILABLE: offset 41 is above the high watermark 40")
	p, err := v.Read([]byte("kept"), 40, 100)
	require.NoError(t, err)
	require.Equal(t, "kept", string(p))
	p, err = v.Read([]byte("kept"), 15, 1)
	require.NoError(t, err)
	require.Equal(t, codec.Offset(10), codec.Batch(p[4:]).BaseOffset(), "the batch that holds the offset, whole")
	require.Equal(t, codec.Batch(p[4:]).Size(), len(p)-4, "and no more than that one")
	b.Index.SetStart(3)
	require.Equal(t, codec.Offset(15), b.Index.Start(), "a start never goes back")
	require.NoError(t, b.Log.Close())
}

func TestACutIsOverwritten(t *testing.T) {
	for _, segment := range []int64{0, 4 << 10} {
		b := newBench(t, Options{SegmentBytes: segment})
		b.put(10, 4, 200) // entries 2..11
		b.Index.Commit(5)
		v := b.Index.View()
		// Another leader of term 9 replaces entries from 7 on.
		base := codec.Offset(5 * 4)
		w := &Write{Vote: &Vote{Term: 9, For: 2}}
		for i := range codec.Index(3) {
			p := batch(t, base, 9, 6, 100)
			w.Entries = append(w.Entries, batchEntry(7+i, 9, p))
			base += 6
		}
		require.NoError(t, b.Log.Write(w))
		b.Index.Add(w.Entries)
		require.Equal(t, codec.Index(9), b.Index.Last())
		require.Equal(t, 16, b.records(v, 0, 200), "an old view still reads what was committed")
		check := func() {
			term, ok := b.Index.Term(6)
			require.True(t, ok)
			require.Equal(t, codec.Term(2), term)
			term, _ = b.Index.Term(7)
			require.Equal(t, codec.Term(9), term)
			b.commit()
			require.Equal(t, codec.Offset(38), b.Index.View().HighWatermark())
			p, err := b.Index.View().Read(nil, 20, 1<<20)
			require.NoError(t, err)
			require.Equal(t, codec.Epoch(9), codec.Batch(p).Epoch())
		}
		check()
		b.reopen()
		require.Equal(t, codec.Term(9), b.Hard.Term)
		require.Equal(t, codec.ReplicaID(2), b.Hard.Vote)
		check()
		require.NoError(t, b.Log.Close())
	}
}

func TestACommittedEntryIsNeverCut(t *testing.T) {
	b := newBench(t, Options{})
	b.put(3, 1, 20)
	require.NoError(t, b.Log.Rest(4))
	require.PanicsWithValue(t, fmt.Sprintf("wal: cut of %s at entry 3, committed up to 4", b.dir), func() {
		_ = b.Log.Write(&Write{Entries: []Entry{batchEntry(3, 9, batch(t, 1, 9, 1, 20))}})
	})
}

func TestTheHardStateIsFoundAgain(t *testing.T) {
	b := newBench(t, Options{})
	for term := codec.Term(2); term < 9; term++ {
		require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: term, For: 3}}))
		b.reopen()
		require.Equal(t, term, b.Hard.Term)
		require.Equal(t, birth.Conf, b.Hard.Conf)
	}
	require.NoError(t, b.Log.SetConf([]byte("other"), 1))
	b.reopen()
	require.Equal(t, "other", string(b.Hard.Conf))
	require.NoError(t, b.Log.Close())
}

func TestTimeIsFoundExactly(t *testing.T) {
	b := newBench(t, Options{SegmentBytes: 1 << 14})
	for range 40 {
		b.put(2, 7, 150)
	}
	b.commit()
	v := b.Index.View()
	require.Greater(t, v.Segments(), 3)
	for _, c := range []struct {
		t    codec.Millis
		want codec.Offset
		ok   bool
	}{{-5, 0, true}, {0, 0, true}, {1, 1, true}, {1000, 1, true}, {123_456, 124, true}, {559_000, 559, true}, {559_001, 0, false}} {
		o, at, ok, err := v.OffsetForTime(c.t)
		require.NoError(t, err)
		require.Equal(t, c.ok, ok, "time %d", c.t)
		require.Equal(t, c.want, o, "time %d", c.t)
		if ok {
			require.Equal(t, codec.Millis(1000*c.want), at)
		}
	}
	b.Index.SetStart(300)
	o, _, ok, err := b.Index.View().OffsetForTime(7000)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, codec.Offset(300), o, "what is below the start is not found")
	require.NoError(t, b.Log.Close())
}

func TestRetentionRemovesWholeSegments(t *testing.T) {
	b := newBench(t, Options{SegmentBytes: 1 << 14})
	for range 40 {
		b.put(2, 7, 150)
	}
	b.commit()
	old := b.Index.View()
	b.Index.SetStart(300)
	d := b.Index.Drop(1 << 40)
	require.NotNil(t, d)
	require.Positive(t, d.Segments())
	v := b.Index.View()
	require.NoError(t, b.Log.Retain(d))
	require.Equal(t, 260, b.records(v, 300, 150))
	_, err := old.Read(nil, 10, 100)
	require.ErrorIs(t, err, ErrGone)
	require.Nil(t, b.Index.Drop(1<<40), "nothing more to drop")
	b.put(1, 7, 150)
	b.reopen()
	require.Equal(t, codec.Offset(300), b.Index.Start())
	before, term := b.Index.Before()
	require.Equal(t, d.Before(), before)
	require.Equal(t, codec.Term(2), term)
	b.commit()
	require.Equal(t, 267, b.records(b.Index.View(), 300, 150))
	require.NoError(t, b.Log.Close())
}

func TestTheSegmentThatHoldsTheCommitStays(t *testing.T) {
	b := newBench(t, Options{SegmentBytes: 1 << 12})
	for range 20 {
		b.put(1, 7, 150)
	}
	b.commit()
	b.Index.SetStart(b.Index.Next())
	d := b.Index.Drop(1 << 40)
	require.NotNil(t, d)
	require.NoError(t, b.Log.Retain(d))
	b.reopen()
	b.commit()
	require.Equal(t, codec.Offset(140), b.Index.View().HighWatermark())
	require.Equal(t, codec.Offset(140), b.Index.View().Start())
	b.put(1, 7, 150)
	b.commit()
	require.Equal(t, 7, b.records(b.Index.View(), 140, 150))
	require.NoError(t, b.Log.Close())
}

func TestSnapshotsStandForEntries(t *testing.T) {
	b := newBench(t, Options{})
	command := func(n int) {
		w := &Write{}
		for range n {
			i := b.Index.Last() + 1 + codec.Index(len(w.Entries))
			w.Entries = append(w.Entries, Entry{Index: i, Term: 2, Data: codec.AppendCommandEntry(nil, fmt.Appendf(nil, "command %d", i))})
		}
		require.NoError(t, b.Log.Write(w))
		b.Index.Add(w.Entries)
		b.commit()
	}
	command(10)
	previous, err := b.Log.WriteSnapshot(Snapshot{Index: 8, Term: 2, Data: []byte("as of 8")})
	require.NoError(t, err)
	require.Zero(t, previous)
	command(10)
	previous, err = b.Log.WriteSnapshot(Snapshot{Index: 18, Term: 2, Data: []byte("as of 18")})
	require.NoError(t, err)
	require.Equal(t, codec.Index(8), previous)
	require.NoError(t, b.Log.Retain(b.Index.DropEntries(previous)))
	b.reopen()
	require.Equal(t, "as of 18", string(b.Snapshot.Data))
	list, ok := b.Index.Entries(9, 22, 1<<20)
	require.True(t, ok)
	require.Len(t, list, 13)
	require.NoError(t, b.Log.Close())

	newest := filepath.Join(b.dir, snapshotDir, snapshotName(18))
	p, err := os.ReadFile(newest)
	require.NoError(t, err)
	p[40] ^= 1
	require.NoError(t, os.WriteFile(newest, p, 0o600))
	b.open()
	require.Equal(t, "as of 8", string(b.Snapshot.Data), "the one before stands in for a damaged one")
	require.NoError(t, b.Log.Close())
	require.NoError(t, os.Remove(filepath.Join(b.dir, snapshotDir, snapshotName(8))))
	_, err = Open(OS{}, b.dir, Options{}, nil)
	require.True(t, IsCorrupt(err))
}

func TestEntriesComeFromMemoryOrDisk(t *testing.T) {
	b := newBench(t, Options{CacheBytes: 500})
	for range 30 {
		b.put(10, 1, 20)
	}
	b.commit()
	_, ok := b.Index.Entries(2, 10, 1<<20)
	require.False(t, ok, "the oldest are forgotten")
	list, err := b.Index.ReadEntries(2, 100, 1<<20)
	require.NoError(t, err)
	require.Len(t, list, 98)
	list, err = b.Index.ReadEntries(50, 100, 60)
	require.NoError(t, err)
	require.Len(t, list, 1, "at least one, and no more than asked")
	require.Equal(t, codec.Index(50), list[0].Index)
	recent, ok := b.Index.Entries(b.Index.Last()-3, b.Index.Last()+1, 1<<20)
	require.True(t, ok)
	require.Len(t, recent, 4)
	require.NoError(t, b.Log.Close())
}
