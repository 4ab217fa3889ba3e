package codec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescriptorStandsForItsBatch(t *testing.T) {
	b := build(t, NoCompression, five...)
	b.Stamp(40, 3)
	d := Describe(b, 6000)
	require.Equal(t, Offset(45), d.Limit())
	raw := d.Append(nil)
	require.Len(t, raw, DescriptorBytes)
	got, err := ParseDescriptor(raw)
	require.NoError(t, err)
	require.Equal(t, d, got)
	require.NoError(t, d.Matches(b, 3))
	require.ErrorContains(t, d.Matches(b, 4), "head")
	require.ErrorContains(t, d.Matches(b[:len(b)-1], 3), "bytes")
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	b := build(t, NoCompression, five...)
	b.Stamp(40, 3)
	d := Describe(b, 6000)
	for i := range b {
		b[i] ^= 0x10
		require.Error(t, d.Matches(b, 3), "byte %d", i)
		b[i] ^= 0x10
	}
}

func TestEntriesComeBack(t *testing.T) {
	d := Describe(build(t, NoCompression, five...), 6000)
	got, ok, err := ParseBatchEntry(AppendBatchEntry(nil, d))
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, d, got)
	start, ok, err := ParseStartEntry(AppendStartEntry(nil, 9))
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, Offset(9), start)
	_, ok, err = ParseBatchEntry(AppendCommandEntry(nil, []byte("x")))
	require.False(t, ok)
	require.NoError(t, err)
	_, _, err = ParseStartEntry([]byte{byte(EntryStart), 1})
	require.ErrorContains(t, err, "2 bytes, want 9")
	_, _, err = ParseBatchEntry([]byte{byte(EntryBatch)})
	require.ErrorContains(t, err, "0 bytes")
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendBatchEntry(nil, Descriptor{Count: 1, Size: BatchHeaderBytes}))
	f.Add(AppendBatchEntry(nil, Descriptor{BaseOffset: 1<<63 - 1, Count: 1<<31 - 1, Size: 1<<31 - 1}))
	f.Add(AppendStartEntry(nil, -1))
	f.Fuzz(func(t *testing.T, p []byte) {
		if d, ok, err := ParseBatchEntry(p); ok && err == nil {
			require.Equal(t, p, AppendBatchEntry(nil, d))
		}
		if start, ok, err := ParseStartEntry(p); ok && err == nil {
			require.Equal(t, p, AppendStartEntry(nil, start))
		}
	})
}
