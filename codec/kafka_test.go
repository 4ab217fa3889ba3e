package codec

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// kafkaBatch makes a batch as franz-go's client makes it.
func kafkaBatch(t *testing.T, c Compression, records []Record) Batch {
	t.Helper()
	var section []byte
	latest := records[0].Timestamp
	for i, r := range records {
		k := kmsg.NewRecord()
		k.TimestampDelta64 = int64(r.Timestamp - records[0].Timestamp)
		k.TimestampDelta = int32(k.TimestampDelta64)
		k.OffsetDelta, k.Key, k.Value = int32(i), r.Key, r.Value
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1) // a length of 0 takes one byte
		section = k.AppendTo(section)
		latest = max(latest, r.Timestamp)
	}
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	packer, err := kgo.DefaultCompressor(codecs[c])
	require.NoError(t, err)
	if packer != nil {
		var used kgo.CompressionCodecType
		section, used = packer.Compress(new(bytes.Buffer), section)
		require.Equal(t, int8(c), int8(used))
	}
	rb := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: int16(c), LastOffsetDelta: int32(len(records) - 1),
		FirstTimestamp: int64(records[0].Timestamp), MaxTimestamp: int64(latest), ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(records)), Records: section,
	}
	raw := rb.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-batchLengthAfter))
	return reseal(raw)
}

// readKafka decodes a batch with franz-go's code.
func readKafka(t *testing.T, b Batch) []Record {
	t.Helper()
	var rb kmsg.RecordBatch
	require.NoError(t, rb.ReadFrom(b))
	require.Equal(t, int32(CRC32C(b[21:])), rb.CRC)
	section, err := kgo.DefaultDecompressor().Decompress(rb.Records, kgo.CompressionCodecType(rb.Attributes&7))
	require.NoError(t, err)
	var out []Record
	for range rb.NumRecords {
		var k kmsg.Record
		require.NoError(t, k.ReadFrom(section))
		length, n := binary.Varint(section)
		section = section[n+int(length):]
		r := Record{Offset: Offset(rb.FirstOffset) + Offset(k.OffsetDelta), Timestamp: Millis(rb.FirstTimestamp + k.TimestampDelta64), Key: k.Key, Value: k.Value}
		for _, h := range k.Headers {
			r.Headers = append(r.Headers, Header{h.Key, h.Value})
		}
		out = append(out, r)
	}
	require.Empty(t, section)
	return out
}

// many is enough to be worth compressing by every codec.
func many() []Record {
	out := append([]Record(nil), five...)
	for i := len(out); i < 200; i++ {
		out = append(out, Record{Offset: Offset(i), Timestamp: 2000 + Millis(i), Key: []byte("flight"), Value: []byte("booking changed, booking changed"),
			Headers: []Header{{"trace", []byte{byte(i)}}}})
	}
	return out
}

func TestBatchesOfKafkaClientsAreRead(t *testing.T) {
	for _, c := range compressions() {
		b := kafkaBatch(t, c, many())
		require.NoError(t, b.Verify(0), c)
		section, err := b.Open(1 << 20)
		require.NoError(t, err, c)
		require.NoError(t, b.CheckRecords(section))
		got, err := walk(b, section)
		require.NoError(t, err)
		require.Equal(t, many(), got, c)
	}
}

func TestKafkaClientsReadOurBatches(t *testing.T) {
	for _, c := range compressions() {
		b := build(t, c, many()...)
		require.Equal(t, c, b.Compression())
		require.Equal(t, many(), readKafka(t, b), c)
	}
}

// Uncompressed, both make the same bytes.
func TestOurBatchIsKafkasByteForByte(t *testing.T) {
	require.Equal(t, kafkaBatch(t, NoCompression, many()), build(t, NoCompression, many()...))
}

// Batches once written must be readable for ever.
func TestGoldenBatches(t *testing.T) {
	for _, c := range compressions() {
		name := filepath.Join("testdata", "batch-"+c.String()+".bin")
		if *update {
			require.NoError(t, os.WriteFile(name, kafkaBatch(t, c, many()), 0o644))
		}
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, Batch(raw).Verify(0))
		section, err := Batch(raw).Open(1 << 20)
		require.NoError(t, err)
		got, err := walk(raw, section)
		require.NoError(t, err)
		require.Equal(t, many(), got, c)
	}
}
