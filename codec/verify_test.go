package codec

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// reseal writes the right CRC over what a test changed.
func reseal(b Batch) Batch {
	binary.BigEndian.PutUint32(b[17:], CRC32C(b[BatchHeadBytes:]))
	return b
}

func TestVerify(t *testing.T) {
	be := binary.BigEndian
	for name, law := range map[string]struct {
		change func(b Batch) Batch
		code   Code
		says   string
	}{
		"as built":               {func(b Batch) Batch { return b }, OK, ""},
		"stamped":                {func(b Batch) Batch { b.Stamp(77, 3); return b }, OK, ""},
		"empty":                  {func(b Batch) Batch { return nil }, CorruptBatch, "0 bytes"},
		"only a header's part":   {func(b Batch) Batch { return b[:60] }, CorruptBatch, "the header alone has 61"},
		"cut":                    {func(b Batch) Batch { return b[:len(b)-1] }, CorruptBatch, "bytes and has"},
		"longer":                 {func(b Batch) Batch { return append(b, 0) }, CorruptBatch, "bytes and has"},
		"length negative":        {func(b Batch) Batch { be.PutUint32(b[8:], 1<<31); return b }, CorruptBatch, "batch says"},
		"magic 1":                {func(b Batch) Batch { b[16] = 1; return b }, CorruptBatch, "magic 1"},
		"a flipped bit":          {func(b Batch) Batch { b[70] ^= 4; return b }, CorruptBatch, "CRC-32C"},
		"count wrong":            {func(b Batch) Batch { be.PutUint32(b[57:], 4); return reseal(b) }, CorruptBatch, "4 records and a last offset delta of 4"},
		"count overflows":        {func(b Batch) Batch { be.PutUint32(b[57:], 1<<31); be.PutUint32(b[23:], 1<<31-1); return reseal(b) }, CorruptBatch, "records"},
		"no records":             {func(b Batch) Batch { be.PutUint32(b[57:], 0); be.PutUint32(b[23:], 1<<32-1); return reseal(b) }, CorruptBatch, "0 records"},
		"more than there can be": {func(b Batch) Batch { be.PutUint32(b[57:], 1e6); be.PutUint32(b[23:], 1e6-1); return reseal(b) }, CorruptBatch, "hold"},
		"one fewer than is":      {func(b Batch) Batch { be.PutUint32(b[57:], 4); be.PutUint32(b[23:], 3); return reseal(b) }, CorruptBatch, "follow the last of 4"},
		"max timestamp later":    {func(b Batch) Batch { be.PutUint64(b[35:], 5001); return reseal(b) }, CorruptBatch, "5001"},
		"max timestamp earlier":  {func(b Batch) Batch { be.PutUint64(b[35:], 4999); return reseal(b) }, CorruptBatch, "its records say 5000"},
		"unknown compression":    {func(b Batch) Batch { b[22] = 5; return reseal(b) }, CorruptBatch, "compression 5"},
		"control":                {func(b Batch) Batch { b[22] = attrControl; return reseal(b) }, InvalidArgument, "control bit"},
		"transactional":          {func(b Batch) Batch { b[22] = attrTransactional; return reseal(b) }, InvalidArgument, "transactional bit"},
		"log append time":        {func(b Batch) Batch { b[22] = attrLogAppendTime; return reseal(b) }, InvalidArgument, "log append time"},
		"a bit of tomorrow":      {func(b Batch) Batch { b[21] = 0x80; return reseal(b) }, InvalidArgument, "attributes 0x8000"},
		"a producer":             {func(b Batch) Batch { b.SetProducer(7, 0, 3); return b }, OK, ""},
		"half a producer":        {func(b Batch) Batch { b.SetProducer(7, 0, -1); return b }, InvalidArgument, "producer id 7, epoch 0 and sequence -1"},
		"an epoch of nobody":     {func(b Batch) Batch { b.SetProducer(-1, 4, -1); return b }, InvalidArgument, "producer id -1, epoch 4"},
		"compressed, not opened": {func(b Batch) Batch { b[22] = byte(Zstd); return reseal(b) }, OK, ""},
	} {
		b := law.change(append(Batch(nil), build(t, NoCompression, five...)...))
		err := b.Verify(0)
		require.Equal(t, law.code, CodeOf(err), "%s: %v", name, err)
		if err != nil {
			require.ErrorContains(t, err, law.says, name)
		}
	}
}

func TestVerifyNamesSizeAndLimit(t *testing.T) {
	b := build(t, NoCompression, Record{Value: make([]byte, 1000)})
	require.NoError(t, b.Verify(len(b)))
	require.EqualError(t, b.Verify(1000), "RECORD_TOO_LARGE: batch of 1070 bytes: message.bytes.max is 1000")
}

func FuzzVerify(f *testing.F) {
	for c := NoCompression; c <= Zstd; c++ {
		f.Add([]byte(build(f, c, five...)))
	}
	f.Add([]byte{})
	f.Add(make([]byte, 61))
	f.Fuzz(func(t *testing.T, p []byte) {
		b := Batch(append([]byte(nil), p...))
		if len(b) >= BatchHeaderBytes { // let the fuzzer get past the checksum
			b[16] = magicV2
			binary.BigEndian.PutUint32(b[8:], uint32(len(b)-batchLengthAfter))
			reseal(b)
		}
		if b.Verify(0) != nil || b.Compression() != NoCompression {
			return
		}
		records, err := walk(b, b[BatchHeaderBytes:])
		require.NoError(t, err)
		require.Len(t, records, int(b.Count()))
	})
}

func BenchmarkVerify64KiB(b *testing.B) {
	var w Builder
	for w.Size() < 64<<10 {
		w.Append(1, nil, make([]byte, 1024), nil)
	}
	batch, _ := w.Build(NoCompression)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Verify(1 << 20); err != nil {
			b.Fatal(err)
		}
	}
}
