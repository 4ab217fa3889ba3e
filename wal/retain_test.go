package wal

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Each batch of the bench has its index as append time, so entry i was
// appended at time i.
func TestWhereRetentionBegins(t *testing.T) {
	b := newBench(t, Options{SegmentBytes: 1000})
	for range 10 {
		b.put(2, 2, 180) // two batches fill a segment: entries 2,3 | 4,5 | ...
	}
	b.commit()
	require.Len(t, b.Index.segments(), 10)
	one := b.Index.segments()[0].bytes
	const never = -1 << 62
	for _, c := range []struct {
		name     string
		oldest   codec.Millis
		maxBytes int64
		want     codec.Offset
	}{
		{"neither age nor size", never, 0, 0},
		{"the first segment's last batch is as old as the limit", 3, 0, 0},
		{"it is older", 4, 0, 4},
		{"half of them are older", 12, 0, 20},
		{"all are older: the log is empty, and goes on", 1 << 40, 0, 40},
		{"room for all", never, 10 * one, 0},
		{"room for three", never, 3 * one, 28},
		{"room for less than one: the newest stays", never, 1, 36},
		{"the stricter of both", 12, 3 * one, 28},
	} {
		require.Equal(t, c.want, b.Index.RetentionStart(c.oldest, c.maxBytes), c.name)
	}
	b.Index.SetStart(30)
	require.Equal(t, codec.Offset(30), b.Index.RetentionStart(12, 0), "it never goes back")
	b.put(2, 2, 180)
	require.Equal(t, codec.Offset(40), b.Index.RetentionStart(1<<40, 0), "what is not committed stays")
	require.NoError(t, b.Log.Close())
}

func TestDeleteLeavesNothing(t *testing.T) {
	b := newBench(t, Options{})
	b.put(1, 1, 20)
	require.NoError(t, b.Log.Close())
	require.NoError(t, Delete(OS{}, b.dir))
	require.NoError(t, Delete(OS{}, b.dir), "what is gone is gone")
	list, err := OS{}.ReadDir(filepath.Dir(b.dir))
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestFromThePageCacheToTheDisk(t *testing.T) {
	b := newBench(t, Options{NoSync: true})
	b.put(3, 1, 20)
	require.Equal(t, codec.Index(1), b.Log.synced, "nothing was fsynced")
	require.NoError(t, b.Log.Configure(Options{}))
	require.Equal(t, codec.Index(4), b.Log.synced, "what was written before is durable now")
	b.put(1, 1, 20)
	require.Equal(t, codec.Index(5), b.Log.synced)
	require.NoError(t, b.Log.Configure(Options{NoSync: true}))
	b.put(1, 1, 20)
	require.Equal(t, codec.Index(5), b.Log.synced)
	require.NoError(t, b.Log.Rest(0))
	require.Equal(t, codec.Index(6), b.Log.synced)
	require.NoError(t, b.Log.Close())
}
