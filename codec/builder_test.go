package codec

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuilderAllocatesNothingOnceItHasRoom(t *testing.T) {
	var b Builder
	key, value, hs := []byte("key"), make([]byte, 100), []Header{{"h", []byte("v")}}
	fill := func() {
		b.Reset()
		for range 500 {
			b.Append(5, key, value, hs)
		}
		if _, err := b.Build(NoCompression); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	require.Zero(t, testing.AllocsPerRun(10, fill))
}

func TestBuilderSizeIsTheBatchSize(t *testing.T) {
	var b Builder
	require.Zero(t, b.Size())
	for _, r := range five {
		before := b.Size()
		b.Append(r.Timestamp, r.Key, r.Value, r.Headers)
		require.LessOrEqual(t, b.Size(), max(before, BatchHeaderBytes)+RecordBytesMax(r.Key, r.Value, r.Headers))
	}
	require.Equal(t, 5, b.Count())
	batch, err := b.Build(NoCompression)
	require.NoError(t, err)
	require.Len(t, batch, b.Size())
	require.NoError(t, batch.Verify(0))
	require.Equal(t, Millis(1000), batch.BaseTimestamp())
	require.Equal(t, Millis(5000), batch.MaxTimestamp())
	require.Equal(t, int64(-1), batch.ProducerID())
	require.Equal(t, int16(-1), batch.ProducerEpoch())
	require.Equal(t, int32(-1), batch.BaseSequence())
}

func TestBuilderAfterReset(t *testing.T) {
	var b Builder
	b.Append(9e12, []byte("old"), []byte("old"), nil)
	_, err := b.Build(Zstd)
	require.NoError(t, err)
	b.Reset()
	b.Append(-1, nil, []byte("new"), nil)
	batch, err := b.Build(NoCompression)
	require.NoError(t, err)
	require.NoError(t, batch.Verify(0))
	require.Equal(t, Millis(-1), batch.MaxTimestamp())
}

func TestBuilderWithoutRecordsPanics(t *testing.T) {
	var b Builder
	require.PanicsWithValue(t, "codec: batch without records", func() { _, _ = b.Build(NoCompression) })
}

func TestBuilderCompressesOnlyWhatAReaderWillOpen(t *testing.T) {
	text := bytes.Repeat([]byte("the same again and again "), 400)
	for c := Gzip; c <= Zstd; c++ {
		b := build(t, c, Record{Value: text})
		require.Equal(t, c, b.Compression())
		require.NoError(t, b.Verify(0))

		small := build(t, c, Record{Value: []byte("x")})
		require.Equal(t, NoCompression, small.Compression(), "%v made it larger", c)
	}
	zeros := build(t, Zstd, Record{Value: make([]byte, 16<<20)})
	section, err := zeros.Open(17 << 20)
	require.NoError(t, err)
	require.NoError(t, zeros.CheckRecords(section))
}

func BenchmarkBuild64KiB(b *testing.B) {
	var w Builder
	value := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		for range 64 {
			w.Append(1, nil, value, nil)
		}
		if _, err := w.Build(NoCompression); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(w.Size()))
}
