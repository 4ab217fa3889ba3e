package codec

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

func TestCheckAccepts(t *testing.T) {
	for name, v := range map[string]any{
		"null": nil, "ints": []any{1, -1, 200, -200, 70000, 1 << 40, uint64(1 << 63)}, "floats": []any{float32(1), 2.5}, "bools": []bool{true, false},
		"text": []any{"", "short", string(bytes.Repeat([]byte("x"), 300)), string(bytes.Repeat([]byte("x"), 70000))},
		"bin":  []any{[]byte{}, make([]byte, 300), make([]byte, 70000)}, "map": map[string]any{"a": 1, "b": map[string]any{"c": []any{}}},
		"long": make([]int, 70000), "empty": []any{},
	} {
		p, err := msgpack.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, Check(p, FrameDepthMax, FrameElementsMax), name)
		for cut := range min(len(p), 400) {
			require.ErrorIs(t, Check(p[:cut], FrameDepthMax, FrameElementsMax), E(Malformed), "%s cut at %d", name, cut)
		}
		require.ErrorContains(t, Check(append(p, 0), FrameDepthMax, FrameElementsMax), "1 bytes follow")
	}
}

// hostile frames, each a few bytes that cost a trusting decoder its memory or
// its stack.
var hostile = map[string][]byte{
	"nothing":           {},
	"array of 4G":       {0xdd, 0xff, 0xff, 0xff, 0xff},
	"array of 64M":      {0xdd, 0x04, 0, 0, 0, 1, 2, 3},
	"map of 64M":        {0xdf, 0x04, 0, 0, 0, 1, 2, 3},
	"bin of 1 GiB":      {0xc6, 0x40, 0, 0, 0},
	"str of 4 GiB":      {0xdb, 0xff, 0xff, 0xff, 0xff},
	"fixext":            {0xd4, 1, 0},
	"ext8":              {0xc7, 1, 1, 0},
	"timestamp":         {0xd6, 0xff, 0, 0, 0, 0},
	"never used":        {0xc1},
	"key not a string":  {0x81, 1, 2},
	"key an array":      {0x81, 0x90, 2},
	"second key":        {0x82, 0xa1, 'a', 1, 2, 2},
	"nested":            bytes.Repeat([]byte{0x91}, 1<<20),
	"nested maps":       bytes.Repeat([]byte{0x81, 0xa0}, 1<<16),
	"length cut off":    {0xdd, 0},
	"two values":        {1, 2},
	"children cut off":  {0x93, 1, 2},
	"nine deep":         {0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 1},
	"claims of claims":  {0x92, 0xdc, 0, 4, 0xdc, 0, 2, 1, 1, 1},
	"half a float":      {0xcb, 0, 0},
	"reserved interned": {0xc7, 1, 0x80, 1},
}

func TestCheckRefuses(t *testing.T) {
	for name, p := range hostile {
		require.ErrorIs(t, Check(p, FrameDepthMax, FrameElementsMax), E(Malformed), name)
	}
	require.NoError(t, Check(hostile["nine deep"][1:], FrameDepthMax, 100), "eight are allowed")
	require.ErrorContains(t, Check([]byte{0x93, 1, 2, 3}, 8, 3), "more than 3 values")
}

func TestCheckAllocatesNothing(t *testing.T) {
	p := EncodeRequest(nil, 1, &CreateTopic{Topic: "a", Settings: map[string]string{"a": "b"}}).Bytes()[4:]
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := Check(p, FrameDepthMax, FrameElementsMax); err != nil {
			t.Fatal(err)
		}
	}))
}

// Whatever Check accepts, the decoder neither panics over nor takes much
// memory for.
func FuzzCheck(f *testing.F) {
	for _, p := range hostile {
		f.Add(p[:min(len(p), 4096)])
	}
	for _, g := range goldenFrames(f) {
		f.Add(g.frame.Bytes()[4:])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if Check(p, FrameDepthMax, FrameElementsMax) != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var v any
		_ = msgpack.Unmarshal(p, &v)
		runtime.ReadMemStats(&after)
		if took, most := after.TotalAlloc-before.TotalAlloc, uint64(512*len(p)+1<<20); took > most {
			t.Fatalf("%d bytes took %d, at most %d are fair", len(p), took, most)
		}
	})
}

func BenchmarkCheckEnvelope(b *testing.B) {
	var w Builder
	w.Append(1, nil, make([]byte, 64<<10), nil)
	batch, _ := w.Build(NoCompression)
	p := EncodeRequest(nil, 1, &Produce{TopicPartition: TopicPartition{"access", 3}, Batch: batch}).Bytes()[4:]
	b.ReportAllocs()
	for b.Loop() {
		e, err := ParseEnvelope(p)
		if err != nil {
			b.Fatal(err)
		}
		var r Produce
		if err := e.Decode(&r); err != nil {
			b.Fatal(err)
		}
	}
}
