package wal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// zeroed overwrites the bytes of a file from at on with zeros, and returns what
// puts them back.
func zeroed(t *testing.T, name string, at int64) (back func()) {
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	p := append([]byte(nil), whole...)
	clear(p[at:])
	require.NoError(t, os.WriteFile(name, p, 0o600))
	return func() { require.NoError(t, os.WriteFile(name, whole, 0o600)) }
}

// Zeros behind the entries of the last file are room. Where acknowledged
// entries rotted into zeros they are damage, as any other rot is.
func TestAcknowledgedEntriesThatBecameZerosAreDamage(t *testing.T) {
	for _, rest := range []bool{true, false} {
		b, want := rotting(t, rest)
		acked, cases := b.Index.Committed(), 0
		hard, err := os.ReadFile(filepath.Join(b.dir, hardName))
		require.NoError(t, err)
		files, _, err := listWAL(OS{}, filepath.Join(b.dir, walDir))
		require.NoError(t, err)
		for i, first := range files {
			name := filepath.Join(b.dir, walDir, walName(first))
			p, err := os.ReadFile(name)
			require.NoError(t, err)
			var begins []int64 // of acknowledged entries, that something later proves
			_, _, err = walkWAL(p, first, func(f found) error {
				if f.Index <= acked {
					begins = append(begins, f.At)
				}
				return nil
			})
			require.NoError(t, err)
			for _, at := range begins {
				if !rest && i+1 == len(files) {
					continue // what would prove them goes too
				}
				back := zeroed(t, name, at)
				_, err := Inspect(OS{}, b.dir, nil)
				require.True(t, IsCorrupt(err), "file %d from byte %d on: Inspect says %v", i, at, err)
				require.True(t, b.judge(want, acked, "file %d from byte %d on", i, at), "file %d from byte %d on", i, at)
				back()
				require.NoError(t, os.WriteFile(filepath.Join(b.dir, hardName), hard, 0o600))
				cases++
			}
		}
		require.Greater(t, cases, 5)
		_, err = Inspect(OS{}, b.dir, nil)
		require.NoError(t, err)
		require.False(t, b.judge(want, acked, "put back"))
	}
}

// Who reads entries beside the writer is never given a gap.
func TestReadEntriesHasNoGap(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{WALFileBytes: 700})
	for range 20 {
		b.put(1, 1, 50)
	}
	files := b.Log.wal.files
	require.Greater(t, len(files), 2)
	last := b.Index.Last()
	zeroed(t, filepath.Join(b.dir, walDir, walName(files[1])), 0)
	for lo := codec.Index(2); lo <= last; lo++ {
		list, err := readEntries(OS{}, b.Log.wal.dir, files, lo, last+1, 1<<20)
		if lo < files[2] {
			require.True(t, IsCorrupt(err), "from entry %d on: %v", lo, err)
			continue
		}
		require.NoError(t, err)
		for i := range list {
			require.Equal(t, lo+codec.Index(i), list[i].Index)
		}
		require.Len(t, list, int(last-lo)+1)
	}
	zeroed(t, filepath.Join(b.dir, walDir, walName(files[0])), 0)
	_, err := b.Index.ReadEntries(2, 3, 1<<20)
	require.True(t, IsCorrupt(err))
	require.NoError(t, b.Log.Close())
}

// Room is room whatever size the next opening ends files at, and an entry that
// ends in zeros is whole.
func TestRoomAcrossOpeningsOfOtherSizes(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{WALFileBytes: 8 << 10})
	ends := func() {
		i := b.Index.Last() + 1
		w := &Write{Entries: []Entry{{Index: i, Term: b.term, Data: codec.AppendStartEntry(nil, codec.Offset(i)<<40)}}}
		require.NoError(t, b.Log.Write(w))
		b.Index.Add(w.Entries)
	}
	for round, size := range []int64{20 << 10, 1 << 10, 300 << 10, 600, 64 << 10, 2 << 10} {
		for range 12 {
			b.put(1, 1, 50)
			b.putTogether(3, 1, 50)
			ends()
		}
		last := b.Index.Last()
		b.commit()
		_, sizes, zeros := b.walFiles()
		for i := range len(sizes) - 1 {
			require.Less(t, zeros[i], 8, "round %d: a file that was left is full", round)
		}
		require.LessOrEqual(t, int64(sizes[len(sizes)-1]), max(b.opts.WALFileBytes, 16<<10)+200)
		if round%2 == 0 {
			require.NoError(t, b.Log.Rest(last))
		}
		require.NoError(t, b.Log.Close())
		r, err := Inspect(OS{}, b.dir, nil)
		require.NoError(t, err)
		require.Empty(t, r.Torn)
		require.Equal(t, last, r.Last)
		b.opts.WALFileBytes = size
		b.open()
		require.Zero(t, b.Cut)
		require.Equal(t, last, b.Index.Last())
	}
	require.NoError(t, b.Log.Close())
}
