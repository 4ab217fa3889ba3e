package codec

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func frameOf(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestFramesAreCutFromTheStream(t *testing.T) {
	big := bytes.Repeat([]byte("z"), 300_000)
	stream := append(append(frameOf(1), frameOf(big...)...), frameOf(2, 3)...)
	r := NewFrameReader(bytes.NewReader(stream), 1<<20)
	got, err := r.Read(nil)
	require.NoError(t, err)
	require.Equal(t, []byte{1}, got)
	got, err = r.Read(got)
	require.NoError(t, err)
	require.Equal(t, big, got)
	got, err = r.Read(got)
	require.NoError(t, err)
	require.Equal(t, []byte{2, 3}, got)
	require.GreaterOrEqual(t, cap(got), len(big), "the buffer is recycled")
	_, err = r.Read(got)
	require.Equal(t, io.EOF, err)
}

func TestFramesThatAreWrong(t *testing.T) {
	for name, law := range map[string]struct {
		stream []byte
		says   string
	}{
		"half a length":  {[]byte{0, 0}, "unexpected EOF"},
		"half a body":    {frameOf(1, 2, 3)[:6], "unexpected EOF"},
		"length alone":   {frameOf(1, 2, 3)[:4], "unexpected EOF"},
		"nothing inside": {frameOf(), "MALFORMED: frame of 0 bytes"},
		"above the cap":  {[]byte{0, 0, 4, 1}, "FRAME_TOO_LARGE: frame of 1025 bytes: at most 1024 are allowed here"},
		"4 GiB":          {[]byte{255, 255, 255, 255}, "FRAME_TOO_LARGE: frame of 4294967295 bytes"},
		"an HTTP client": {[]byte("GET / HTTP/1.1\r\n"), "FRAME_TOO_LARGE"},
	} {
		_, err := NewFrameReader(bytes.NewReader(law.stream), 1024).Read(nil)
		require.ErrorContains(t, err, law.says, name)
	}
}

func TestALyingLengthCostsNothing(t *testing.T) {
	var before, after runtime.MemStats
	stream := append([]byte{0x40, 0, 0, 0}, make([]byte, 1000)...)
	runtime.ReadMemStats(&before)
	_, err := NewFrameReader(bytes.NewReader(stream), 1<<30).Read(nil)
	runtime.ReadMemStats(&after)
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestPayloadIsNotCopied(t *testing.T) {
	b := build(t, NoCompression, Record{Value: []byte(strings.Repeat("v", 100_000))})
	f := EncodeRequest(nil, 7, &Produce{TopicPartition: TopicPartition{"t", 0}, Batch: b})
	require.Same(t, &b[0], &f.Payload[0])
	require.Less(t, len(f.Head), 64)
	whole, err := NewFrameReader(bytes.NewReader(f.Bytes()), FrameMax).Read(nil)
	require.NoError(t, err)
	require.Len(t, whole, f.Size()-4)
	require.Equal(t, f.Bytes(), bytes.Join(f.AppendTo(nil), nil))

	e, err := ParseEnvelope(whole)
	require.NoError(t, err)
	var p Produce
	require.NoError(t, e.Decode(&p))
	require.Equal(t, b, p.Batch)
	require.Same(t, &whole[len(whole)-1], &p.Batch[len(p.Batch)-1], "a part of the frame")
}

func FuzzFrames(f *testing.F) {
	f.Add(frameOf(1, 2, 3))
	f.Add([]byte{255, 255, 255, 255, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewFrameReader(bytes.NewReader(stream), 1<<16)
		var buf []byte
		for n := 0; ; n++ {
			var err error
			if buf, err = r.Read(buf); err != nil {
				return
			}
			require.True(t, len(buf) > 0 && len(buf) <= 1<<16 && n < len(stream))
		}
	})
}
