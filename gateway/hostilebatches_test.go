package gateway

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// forged is a batch whose header was changed by hand; its CRC holds again.
func forged(t testing.TB, change func(b codec.Batch)) codec.Batch {
	t.Helper()
	b := batchOf(t, 0, "one", "two")
	change(b)
	binary.BigEndian.PutUint32(b[17:], codec.CRC32C(b[codec.BatchHeadBytes:]))
	return b
}

// bomb is a batch that says c and holds section, one record by its header.
func bomb(t testing.TB, c codec.Compression, section []byte) codec.Batch {
	t.Helper()
	b := append(batchOf(t, 0, "one")[:codec.BatchHeaderBytes:codec.BatchHeaderBytes], section...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint16(b[21:], uint16(c))
	binary.BigEndian.PutUint32(b[17:], codec.CRC32C(b[codec.BatchHeadBytes:]))
	return b
}

// wrongBatch is a hostile client whose batch is refused whole.
func wrongBatch(name, says, message string, change func(b codec.Batch)) hostile {
	return hostile{name, says, func(h *house) {
		w, end := h.open(), h.end(1)
		tp1 := codec.TopicPartition{Topic: "t", Partition: 1}
		require.Contains(h, w.refused(&codec.Produce{TopicPartition: tp1, Batch: forged(h, change)}), message)
		require.Equal(h, end, h.end(1), "nothing was stored")
		w.call(&codec.Ping{}, &codec.Empty{})
	}}
}

func put16(b codec.Batch, at int, v uint16) { binary.BigEndian.PutUint16(b[at:], v) }
func put32(b codec.Batch, at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }
func put64(b codec.Batch, at int, v uint64) { binary.BigEndian.PutUint64(b[at:], v) }

// bombs holds for each compression a section that becomes 64 MiB.
func explode(c codec.Compression) func(h *house) {
	return func(h *house) {
		section, err := codec.Compress(c, nil, make([]byte, 64<<20))
		require.NoError(h, err)
		b := bomb(h, c, section)
		w := h.open()
		tp1 := codec.TopicPartition{Topic: "t", Partition: 1}
		if len(b) > 1<<20 { // snappy cannot hide so much
			require.Contains(h, w.refused(&codec.Produce{TopicPartition: tp1, Batch: b}), "RECORD_TOO_LARGE")
			section, err = codec.Compress(c, nil, make([]byte, 16<<20))
			require.NoError(h, err)
			b = bomb(h, c, section)
		}
		var a codec.Produced
		w.call(&codec.Produce{TopicPartition: tp1, Batch: b}, &a)
		for range 5 {
			require.Contains(h, w.refused(&codec.Fetch{TopicPartition: tp1, Offset: a.Base, MaxBytes: 1 << 20, Mode: codec.FetchRecords}), "CORRUPT_BATCH")
		}
		sub := w.subscribe(codec.Subscribe{TopicPartition: tp1, Offset: a.Base, Credit: 100, Mode: codec.FetchRecords})
		var end codec.Ended
		w.pushed(sub, codec.PushEnd, &end)
		require.Equal(h, codec.CorruptBatch, end.Code)
		require.Contains(h, end.Message, "go on at offset")
		var f codec.Fetched
		w.call(&codec.Fetch{TopicPartition: tp1, Offset: a.Base, MaxBytes: 1 << 20}, &f) // as bytes it does no harm
		require.Len(h, f.Batches, len(b))
	}
}

var hostileBatches = []hostile{
	{"wrong CRC", "a batch with one bit turned", func(h *house) {
		w, end := h.open(), h.end(1)
		b := batchOf(h, 0, "one")
		b[len(b)-2] ^= 1
		require.Contains(h, w.refused(&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Batch: b}), "CORRUPT_BATCH: batch CRC-32C")
		require.Equal(h, end, h.end(1))
	}},
	wrongBatch("wrong count", "says three records and holds two", "CORRUPT_BATCH: batch has 3 records", func(b codec.Batch) { put32(b, 57, 3) }),
	wrongBatch("two billion records", "in count and offset delta alike", "CORRUPT_BATCH: batch says 2147483647 records", func(b codec.Batch) { put32(b, 57, math.MaxInt32); put32(b, 23, math.MaxInt32-1) }),
	wrongBatch("no records", "a count of zero", "CORRUPT_BATCH", func(b codec.Batch) { put32(b, 57, 0); put32(b, 23, math.MaxUint32) }),
	wrongBatch("wrong length", "says it is a gigabyte long", "CORRUPT_BATCH: batch says 1073741836 bytes", func(b codec.Batch) { put32(b, 8, 1<<30) }),
	wrongBatch("negative length", "says it is less than nothing", "CORRUPT_BATCH: batch says", func(b codec.Batch) { put32(b, 8, 1<<31) }),
	wrongBatch("wrong offset delta", "claims offsets that it does not fill", "CORRUPT_BATCH: batch has 2 records and a last offset delta of 1000", func(b codec.Batch) { put32(b, 23, 1000) }),
	wrongBatch("magic 1", "a message set of long ago", "CORRUPT_BATCH: batch has magic 1", func(b codec.Batch) { b[16] = 1 }),
	wrongBatch("control bit", "writes what only the broker writes", "INVALID_ARGUMENT: batch has the control bit", func(b codec.Batch) { put16(b, 21, 0x20) }),
	wrongBatch("transactional bit", "a transaction that nobody began", "INVALID_ARGUMENT: batch has the transactional bit", func(b codec.Batch) { put16(b, 21, 0x10) }),
	wrongBatch("compression 7", "a compression that does not exist", "CORRUPT_BATCH: batch has compression 7", func(b codec.Batch) { put16(b, 21, 7) }),
	wrongBatch("someone else's producer id", "sends as producer 1", "INVALID_ARGUMENT: batch has producer id 1", func(b codec.Batch) { put64(b, 43, 1) }),
	wrongBatch("the last moment of time", "timestamps that overflow", "CORRUPT_BATCH", func(b codec.Batch) { put64(b, 27, math.MaxInt64) }),
	wrongBatch("the first moment of time", "a maximum that its records do not have", "CORRUPT_BATCH: batch says its latest timestamp is -9223372036854775808", func(b codec.Batch) { put64(b, 35, 1<<63) }),
	{"no batch at all", "an empty bin, and one of sixty bytes", func(h *house) {
		w := h.open()
		require.Contains(h, w.refused(&codec.Produce{TopicPartition: tp0, Batch: codec.Batch{}}), "CORRUPT_BATCH: batch of 0 bytes")
		require.Contains(h, w.refused(&codec.Produce{TopicPartition: tp0, Batch: make(codec.Batch, 60)}), "CORRUPT_BATCH: batch of 60 bytes")
	}},
	{"a batch above the topic's limit", "7 MiB to a topic that takes 1", func(h *house) {
		require.Contains(h, h.open().refused(&codec.Produce{TopicPartition: tp0, Batch: batchOf(h, 0, string(make([]byte, 7<<20)))}), "RECORD_TOO_LARGE: batch of 7340106 bytes: message.bytes.max is 1048576")
	}},
	{"a bomb of gzip", "64 MiB of nothing, read in mode 1", explode(codec.Gzip)},
	{"a bomb of snappy", "16 MiB of nothing, read in mode 1", explode(codec.Snappy)},
	{"a bomb of lz4", "64 MiB of nothing, read in mode 1", explode(codec.LZ4)},
	{"a bomb of zstd", "64 MiB of nothing, read in mode 1", explode(codec.Zstd)},
	{"rubbish that says it is compressed", "in each compression, read in mode 1", func(h *house) {
		w := h.open()
		tp1 := codec.TopicPartition{Topic: "t", Partition: 1}
		for c := codec.Gzip; c <= codec.Zstd; c++ {
			var a codec.Produced
			w.call(&codec.Produce{TopicPartition: tp1, Batch: bomb(h, c, bytes.Repeat([]byte{0xff, 0x81}, 500))}, &a)
			require.Contains(h, w.refused(&codec.Fetch{TopicPartition: tp1, Offset: a.Base, MaxBytes: 100, Mode: codec.FetchRecords}), "CORRUPT_BATCH: the batch at offset")
		}
	}},
	{"records that compress well", "produces in mode records what becomes a thousand times smaller", func(h *house) {
		w := h.open()
		for c := codec.Gzip; c <= codec.Zstd; c++ {
			w.send(&codec.Produce{TopicPartition: tp0, Records: []codec.Record{{Value: make([]byte, 6<<20)}}, Compression: c})
			if e := w.receive(); e.Code != codec.OK { // snappy does not get it below the topic's limit
				require.Equal(h, codec.RecordTooLarge, e.Code, "%v", e.Err())
				continue
			}
			var f codec.Fetched
			w.call(&codec.Fetch{TopicPartition: tp0, Offset: h.end(0) - 1, MaxBytes: 1, Mode: codec.FetchRecords}, &f)
			require.Len(h, f.Records[0].Value, 6<<20)
		}
	}},
	{"a record of headers", "300,000 headers in one record, read in mode 1", func(h *house) {
		w := h.open()
		var b codec.Builder
		b.Append(1, nil, nil, make([]codec.Header, 400_000))
		batch, err := b.Build(codec.Zstd)
		require.NoError(h, err)
		var a codec.Produced
		w.call(&codec.Produce{TopicPartition: tp0, Batch: batch}, &a)
		require.Contains(h, w.refused(&codec.Fetch{TopicPartition: tp0, Offset: a.Base, MaxBytes: 1, Mode: codec.FetchRecords}), "RECORD_TOO_LARGE: the record at offset")
	}},
	{"records with times of their own", "the lowest and highest that a record may have", func(h *house) {
		w := h.open()
		w.call(&codec.Produce{TopicPartition: tp0, Records: []codec.Record{{Timestamp: 0}, {Timestamp: math.MaxInt64}}}, &codec.Produced{})
		require.Contains(h, w.refused(&codec.Produce{TopicPartition: tp0, Records: []codec.Record{{Timestamp: math.MinInt64}}}), "INVALID_ARGUMENT: timestamp is")
	}},
	{"a hundred thousand empty records", "as many as a frame may hold", func(h *house) {
		w := h.open()
		w.call(&codec.Produce{TopicPartition: tp0, Records: make([]codec.Record, 100_000)}, &codec.Produced{})
	}},
}
