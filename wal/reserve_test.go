package wal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// walFiles are the sizes of the WAL's files and of the zeros at their ends, by
// first index.
func (b *bench) walFiles() (names []string, sizes, zeros []int) {
	list, err := os.ReadDir(filepath.Join(b.dir, walDir))
	require.NoError(b.t, err)
	for _, e := range list {
		p, err := os.ReadFile(filepath.Join(b.dir, walDir, e.Name()))
		require.NoError(b.t, err)
		names, sizes, zeros = append(names, e.Name()), append(sizes, len(p)), append(zeros, len(p)-len(bytes.TrimRight(p, "\x00")))
	}
	return names, sizes, zeros
}

func TestRoomIsMadeAheadInTheTailOnly(t *testing.T) {
	const file = 64 << 10
	b := newBench(t, Options{WALFileBytes: file})
	b.put(1, 1, 100)
	_, sizes, _ := b.walFiles()
	require.Equal(t, []int{reserveMin}, sizes, "the first entry is given a little")
	for len(sizes) == 1 {
		was := sizes[0]
		b.put(1, 1, 100)
		_, sizes, _ = b.walFiles()
		if len(sizes) == 1 {
			require.Contains(t, []int{was, min(2*was, file)}, sizes[0], "room doubles, up to where the library ends a file")
		}
	}
	b.put(1, 1, 100)
	_, sizes, zeros := b.walFiles()
	require.Equal(t, file, sizes[1], "a log that filled a file is given the next one whole")
	require.Less(t, zeros[0], entryHeaderBytes, "a file that was left is full")
	require.Positive(t, zeros[1])

	last := b.Index.Last()
	b.commit()
	b.reopen()
	require.Equal(t, last, b.Index.Last())
	require.Zero(t, b.Cut, "room is no torn end")
	_, _, zeros = b.walFiles()
	require.Zero(t, zeros[1], "the library saw a file that ends with its last entry")
	r, err := Inspect(OS{}, b.dir, nil)
	require.NoError(t, err)
	require.Empty(t, r.Torn)
}

func TestRoomIsNotMadeWithoutFsync(t *testing.T) {
	b := newBench(t, Options{NoSync: true})
	b.put(10, 1, 100)
	_, _, zeros := b.walFiles()
	require.Zero(t, zeros[0])
}

func TestACutLeavesNoOldEntryInTheRoom(t *testing.T) {
	b := newBench(t, Options{WALFileBytes: 8 << 10})
	b.put(20, 1, 100)
	// Entries that replace others are written over room and no further: what
	// was cut must not be met behind them.
	index, base := b.Index.Last()-9, codec.Offset(10)
	w := &Write{Entries: []Entry{batchEntry(index, 3, batch(t, base, 3, 1, 100))}, Vote: &Vote{Term: 3}}
	require.NoError(t, b.Log.Write(w))
	b.Index.Add(w.Entries)
	b.term = 3
	b.commit()
	b.reopen()
	require.Equal(t, index, b.Index.Last())
	require.Zero(t, b.Cut)
}
