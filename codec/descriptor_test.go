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
	require.Equal(t, 1, got.Len())
	require.Equal(t, d, got.At(0))
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

func TestARunIsOneStretchOfTheLog(t *testing.T) {
	a := build(t, NoCompression, five...)
	a.Stamp(40, 3)
	b := build(t, NoCompression, five[:2]...)
	b.Stamp(45, 3)
	first, second := Describe(a, 6000), Describe(b, 6001)
	run, ok, err := ParseBatchEntry(AppendBatchEntry(nil, first, second))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 2, run.Len())
	require.Equal(t, Offset(40), run.Base())
	require.Equal(t, Offset(47), run.Limit())
	require.Equal(t, Millis(6001), run.AppendTime())
	require.Equal(t, len(a)+len(b), run.Bytes())
	both := append(append([]byte(nil), a...), b...)
	require.NoError(t, run.Matches(both, 3))
	require.ErrorContains(t, run.Matches(append(both, 0), 3), "behind the last batch")
	require.Error(t, run.Matches(both[:len(a)], 3))
	require.Error(t, run.Matches(both[:len(both)-1], 3))

	for _, wrong := range []struct {
		says string
		run  []Descriptor
	}{
		{"0 bytes", nil},
		{"behind a batch that ends at offset 45", []Descriptor{first, first}},
		{"behind a batch that ends at offset 47", []Descriptor{second, first}},
		{"at time 5999", []Descriptor{first, Describe(b, 5999)}},
		{"in one entry", []Descriptor{{Count: 1, Size: 1 << 30}, {BaseOffset: 1, Count: 1, Size: 1 << 30}}},
	} {
		_, ok, err := ParseBatchEntry(AppendBatchEntry(nil, wrong.run...))
		require.False(t, ok)
		require.ErrorContains(t, err, wrong.says)
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendBatchEntry(nil, Descriptor{Count: 1, Size: BatchHeaderBytes}))
	f.Add(AppendBatchEntry(nil, Descriptor{BaseOffset: 1<<63 - 1, Count: 1<<31 - 1, Size: 1<<31 - 1}))
	f.Add(AppendBatchEntry(nil, Descriptor{Count: 2, Size: BatchHeaderBytes}, Descriptor{BaseOffset: 2, Count: 1, Size: BatchHeaderBytes}))
	f.Add(AppendStartEntry(nil, -1))
	f.Fuzz(func(t *testing.T, p []byte) {
		if run, ok, err := ParseBatchEntry(p); ok && err == nil {
			var all []Descriptor
			for i := range run.Len() {
				all = append(all, run.At(i))
			}
			require.Equal(t, p, AppendBatchEntry(nil, all...))
			require.Equal(t, all[len(all)-1].Limit(), run.Limit())
		}
		if start, ok, err := ParseStartEntry(p); ok && err == nil {
			require.Equal(t, p, AppendStartEntry(nil, start))
		}
	})
}
