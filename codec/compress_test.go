package codec

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func compressions() []Compression { return []Compression{NoCompression, Gzip, Snappy, LZ4, Zstd} }

func TestCompressionsComeBack(t *testing.T) {
	noise := make([]byte, 300_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32() >> (i % 24))
	}
	for _, c := range compressions() {
		for _, src := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("abc"), 50_000), noise} {
			for range 2 { // the second comes from the pool
				packed, err := Compress(c, []byte("before"), src)
				require.NoError(t, err)
				got, err := Decompress(c, []byte("ahead"), packed[len("before"):], len(src))
				require.NoError(t, err, "%v of %d", c, len(src))
				require.Equal(t, "before", string(packed[:6]))
				require.Equal(t, "ahead"+string(src), string(got))
			}
		}
	}
}

func TestCompressionNames(t *testing.T) {
	for _, c := range compressions() {
		got, err := ParseCompression(c.String())
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	_, err := ParseCompression("brotli")
	require.EqualError(t, err, `INVALID_ARGUMENT: compression "brotli": want none, gzip, snappy, lz4 or zstd`)
	require.Equal(t, "compression 9", Compression(9).String())
	_, err = Compress(9, nil, nil)
	require.ErrorIs(t, err, E(InvalidArgument))
	_, err = Decompress(9, nil, nil, 10)
	require.ErrorIs(t, err, E(CorruptBatch))
}

func TestOutputAboveTheCapIsRefused(t *testing.T) {
	src := bytes.Repeat([]byte("0123456789"), 1000)
	for _, c := range compressions() {
		packed, err := Compress(c, nil, src)
		require.NoError(t, err)
		_, err = Decompress(c, nil, packed, len(src)-1)
		require.ErrorIs(t, err, E(CorruptBatch), c)
		require.ErrorContains(t, err, "become more than 9999", c)
	}
}

func TestBombsAreRefusedCheaply(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer enc.Close()
	bomb := enc.EncodeAll(make([]byte, 256<<20), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Decompress(Zstd, nil, bomb, 1<<30)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, E(CorruptBatch))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))

	lie := binary.AppendUvarint(nil, 1<<31) // a snappy block that says 2 GiB
	_, err = Decompress(Snappy, nil, append(lie, 0, 0), 1<<20)
	require.ErrorIs(t, err, E(CorruptBatch))
}

func TestRawSnappyIsRead(t *testing.T) {
	src := bytes.Repeat([]byte("raw "), 1000)
	got, err := Decompress(Snappy, nil, s2.EncodeSnappy(nil, src), 1<<20)
	require.NoError(t, err)
	require.Equal(t, src, got)
}

func TestDamagedStreamsAreRefused(t *testing.T) {
	src := bytes.Repeat([]byte("some text to damage "), 100)
	for c := Gzip; c <= Zstd; c++ {
		packed, err := Compress(c, nil, src)
		require.NoError(t, err)
		for _, p := range [][]byte{packed[:len(packed)/2], packed[:3], {0xff, 0xff, 0xff}} {
			_, err := Decompress(c, nil, p, 1<<20)
			require.ErrorIs(t, err, E(CorruptBatch), "%v of %d bytes", c, len(p))
		}
		got, err := Decompress(c, nil, packed, 1<<20)
		require.NoError(t, err, "after the damaged ones")
		require.Equal(t, src, got)
	}
}

func FuzzDecompress(f *testing.F) {
	src := bytes.Repeat([]byte("seed "), 200)
	for _, c := range compressions() {
		packed, _ := Compress(c, nil, src)
		f.Add(int8(c), packed)
		f.Add(int8(c), packed[:len(packed)/2])
	}
	f.Add(int8(Snappy), append(append([]byte{}, xerialMagic...), 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff))
	f.Add(int8(Zstd), []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, c int8, p []byte) {
		const limit = 1 << 20
		got, err := Decompress(Compression(c), nil, p, limit)
		if err != nil {
			require.ErrorIs(t, err, E(CorruptBatch))
			return
		}
		require.LessOrEqual(t, len(got), limit)
	})
}
