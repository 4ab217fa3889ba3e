package wal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// The one ambiguous case: the last group rotted, and nothing was written since.
// It is cut, and that is told once, whatever the rot made of its entry.
func TestALastEntryThatBecameZerosIsCounted(t *testing.T) {
	for name, o := range map[string]Options{"behind others": {}, "first of a segment": {SegmentBytes: 300}} {
		t.Run(name, func(t *testing.T) {
			b := newBenchIn(t, inMemory(t), o)
			b.put(1, 1, 200)
			b.put(1, 1, 200)
			require.NoError(t, b.Log.Close())
			wal := filepath.Join(b.dir, walDir, walName(2))
			p, err := os.ReadFile(wal)
			require.NoError(t, err)
			at := int64(0)
			_, _, err = walkWAL(p, 2, func(f found) error { at = f.At; return nil })
			require.NoError(t, err)
			zeroed(t, wal, at)
			b.open()
			require.Equal(t, codec.Index(2), b.Index.Last())
			require.Equal(t, 1, b.Cut)
			b.reopen()
			require.Zero(t, b.Cut)
			b.put(1, 1, 30) // shorter than what was there
			b.commit()
			b.reopen()
			require.Zero(t, b.Cut)
			require.Equal(t, codec.Index(3), b.Index.Last())
			require.NoError(t, b.Log.Close())
		})
	}
}

// What a leader's followers cut is not counted at the next opening.
func TestWhatWasCutIsNotCountedAgain(t *testing.T) {
	b := newBench(t, Options{})
	b.put(3, 1, 200)
	w := &Write{Vote: &Vote{Term: 3}, Entries: []Entry{batchEntry(3, 3, batch(t, 1, 3, 1, 20))}}
	require.NoError(t, b.Log.Write(w))
	b.Index.Add(w.Entries)
	b.reopen()
	require.Zero(t, b.Cut)
	require.NoError(t, b.Log.Close())
}
