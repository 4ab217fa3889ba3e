package wal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// mixed writes entries of one batch, of several and of none, and returns them
// with their payloads.
func (b *bench) mixed(chance *rand.Rand, n int) (all []Entry) {
	b.t.Helper()
	next, index := b.Index.Next(), b.Index.Last()
	for range n {
		index++
		var e Entry
		switch k := chance.IntN(4); k {
		case 0:
			e = Entry{Index: index, Term: b.term} // as a new leader's
		default:
			var run []codec.Batch
			for range k {
				p := batch(b.t, next, b.term, 1+chance.IntN(2), 20+chance.IntN(300))
				next += codec.Offset(p.Count())
				run = append(run, p)
			}
			e = batchEntry(index, b.term, run...)
		}
		all = append(all, e)
	}
	w := &Write{Entries: all}
	require.NoError(b.t, b.Log.Write(w))
	b.Index.Add(w.Entries)
	return all
}

func TestPayloadsAreReadAgain(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 1))
	b := newBench(t, Options{SegmentBytes: 3000, WALFileBytes: 2000, CacheBytes: 1 << 20})
	var all []Entry
	for range 10 {
		all = append(all, b.mixed(chance, 6)...)
	}
	require.Greater(t, len(b.Index.segments()), 5)
	for range 2000 {
		lo := codec.Index(2 + chance.IntN(60))
		hi := min(lo+1+codec.Index(chance.IntN(30)), 62)
		list, ok := b.Index.Entries(lo, hi, 1<<20)
		require.True(t, ok)
		if chance.IntN(2) == 0 {
			var err error
			list, err = b.Index.ReadEntries(lo, hi, 1<<20)
			require.NoError(t, err)
		}
		require.Len(t, list, int(hi-lo))
		maxBytes := chance.IntN(4000)
		got, err := b.Index.ReadPayloads(list, maxBytes)
		require.NoError(t, err)
		bytes, first := 0, 0
		for i := range got {
			want := all[int(lo)-2+i].Payloads
			require.Equal(t, want, got[i], "entry %d", list[i].Index)
			for _, p := range got[i] {
				bytes += len(p)
			}
			if first == 0 {
				first = bytes
			}
		}
		require.LessOrEqual(t, bytes, max(first, maxBytes))
		if len(got) < len(list) {
			for _, p := range all[int(lo)-2+len(got)].Payloads {
				bytes += len(p)
			}
			require.Greater(t, bytes, maxBytes, "as many as there is room for")
			require.Positive(t, first, "and one at least")
		}
	}
	require.NoError(t, b.Log.Close())
}

func TestPayloadsThatAreGone(t *testing.T) {
	entries := func(b *bench, lo, hi codec.Index) []Entry {
		list, err := b.Index.ReadEntries(lo, hi, 1<<20)
		require.NoError(t, err)
		return list
	}
	for name, takeAway := range map[string]func(b *bench){
		"by a cut, and other bytes stand there": func(b *bench) { b.replace(12, 9, 6, 90) },
		"by a cut, and the same bytes of another term stand there": func(b *bench) {
			b.term = 9
			b.replace(12, 9, 12, 100)
		},
		"by a cut that left nothing": func(b *bench) {
			w := &Write{Entries: []Entry{{Index: 12, Term: 9}}}
			require.NoError(t, b.Log.Write(w))
			b.Index.Add(w.Entries)
		},
		"by retention": func(b *bench) {
			b.commit()
			b.Index.SetStart(b.Index.Next())
			require.NoError(t, b.Log.Retain(b.Index.Drop(1<<40)))
		},
		"by a snapshot": func(b *bench) { b.install(arrival(9, 100, 0), "") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{SegmentBytes: 1500, WALFileBytes: 700})
			b.put(20, 2, 100)
			list, old := entries(b, 13, 17), b.Index
			takeAway(b)
			_, err := old.ReadPayloads(list, 1<<20)
			require.ErrorIs(t, err, ErrGone)
			require.False(t, IsCorrupt(err))
			before, _ := b.Index.Before()
			_, err = b.Index.ReadPayloads(entries(b, before+1, b.Index.Last()+1), 1<<20)
			if before < 100 {
				require.NoError(t, err, "what is there now is read")
			}
			require.NoError(t, b.Log.Close())
		})
	}
}

// replace has the leader of term replace entries from first on by n others.
func (b *bench) replace(first codec.Index, term codec.Term, n, bytes int) {
	b.t.Helper()
	base := codec.Offset(0)
	list, err := b.Index.ReadEntries(first, first+1, 1<<20)
	require.NoError(b.t, err)
	run, ok, err := list[0].batches()
	require.NoError(b.t, err)
	require.True(b.t, ok)
	base = run.Base()
	w := &Write{Vote: &Vote{Term: term}}
	for i := range n {
		p := batch(b.t, base, term, 2, bytes)
		w.Entries = append(w.Entries, batchEntry(first+codec.Index(i), term, p))
		base += 2
	}
	require.NoError(b.t, b.Log.Write(w))
	b.Index.Add(w.Entries)
}

// Every flipped byte of a payload that the log still has is damage.
func TestPayloadsThatRotted(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{SegmentBytes: 1500})
	b.put(6, 2, 100)
	list, err := b.Index.ReadEntries(2, 8, 1<<20)
	require.NoError(t, err)
	for _, s := range b.Index.segments() {
		name := filepath.Join(b.dir, segmentDir, segmentName(s.base))
		whole, err := os.ReadFile(name)
		require.NoError(t, err)
		for at := range s.bytes {
			p := append([]byte(nil), whole...)
			p[at] ^= 1 << (at % 8)
			require.NoError(t, os.WriteFile(name, p, 0o600))
			_, err := b.Index.ReadPayloads(list, 1<<20)
			require.True(t, IsCorrupt(err), "byte %d of segment %d: %v", at, s.base, err)
		}
		require.NoError(t, os.WriteFile(name, whole[:s.bytes-1], 0o600))
		_, err = b.Index.ReadPayloads(list, 1<<20)
		require.True(t, IsCorrupt(err), "%v", err)
		require.NoError(t, os.WriteFile(name, whole, 0o600))
	}
	_, err = b.Index.ReadPayloads(list, 1<<20)
	require.NoError(t, err)
	require.NoError(t, b.Log.Close())
}

// Committed entries and their batches are read beside a writer that cuts and
// appends above them, in the very files that they lie in.
func TestCommittedEntriesAreReadBesideCuts(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{SegmentBytes: 1500, WALFileBytes: 700})
	b.put(30, 2, 60)
	b.Index.Commit(23)
	x := b.Index
	var over atomic.Bool
	var readers sync.WaitGroup
	reads := make([]int, 3)
	for k := range reads {
		readers.Go(func() {
			for !over.Load() {
				for lo := codec.Index(2); lo < 24; lo += 7 {
					list, err := x.ReadEntries(lo, 24, 1<<20)
					if !assertOK(t, err) || !assertOK(t, whole(list, lo, 24)) {
						return
					}
					if _, err = x.ReadPayloads(list, 1<<20); !assertOK(t, err) {
						return
					}
					reads[k]++
				}
			}
		})
	}
	for i := range 400 {
		b.replace(24+codec.Index(i%2), codec.Term(10+i), 3+i%9, 60)
	}
	over.Store(true)
	readers.Wait()
	for _, n := range reads {
		require.Positive(t, n)
	}
	require.NoError(t, b.Log.Close())
}

func assertOK(t *testing.T, err error) bool { return assert.NoError(t, err) }

// whole says what is missing of entries [lo, hi).
func whole(list []Entry, lo, hi codec.Index) error {
	if len(list) != int(hi-lo) || list[0].Index != lo {
		return fmt.Errorf("%d entries of [%d, %d)", len(list), lo, hi)
	}
	return nil
}
