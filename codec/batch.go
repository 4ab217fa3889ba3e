package codec

import (
	"encoding/binary"
	"hash/crc32"
)

// Batch is a Kafka record batch v2, byte for byte: a header of 61 bytes, then
// the records, compressed or not. The accessors are valid once Verify or
// CheckHead has passed. All integers are big endian.
//
//	at  size what
//	 0   8   base offset            ┐ stamped by the leader,
//	 8   4   length of what follows │ outside the CRC
//	12   4   partition leader epoch ┘
//	16   1   magic, 2
//	17   4   CRC-32C of [21, end)
//	21   2   attributes: 0-2 compression, 3 timestamp type, 4 transactional, 5 control
//	23   4   last offset delta
//	27   8   base timestamp, ms
//	35   8   maximum timestamp, ms
//	43   8   producer id, -1 without
//	51   2   producer epoch
//	53   4   base sequence
//	57   4   number of records
//	61       records
//
// Source: https://kafka.apache.org/documentation/#recordbatch
type Batch []byte

const (
	// BatchHeaderBytes is the length of a batch's header.
	BatchHeaderBytes = 61
	// BatchHeadBytes is the part of the header outside the CRC, and the CRC.
	BatchHeadBytes = 21
	// batchLengthAfter is where the bytes that the length field counts begin.
	batchLengthAfter = 12
	magicV2          = 2
)

// Attribute bits of a batch.
const (
	attrCompression   = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the checksum of batches, frames and files.
func CRC32C(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// BaseOffset is the offset of the first record.
func (b Batch) BaseOffset() Offset { return Offset(binary.BigEndian.Uint64(b)) }

// Size is the length of the whole batch in bytes, as its header says.
func (b Batch) Size() int { return int(int32(binary.BigEndian.Uint32(b[8:]))) + batchLengthAfter }

// Epoch is the epoch of the leader that stamped the batch.
func (b Batch) Epoch() Epoch { return Epoch(binary.BigEndian.Uint32(b[12:])) }

// CRC is the checksum in the header.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[17:]) }

// Attributes are the flags of the batch.
func (b Batch) Attributes() int16 { return int16(binary.BigEndian.Uint16(b[21:])) }

// LastOffsetDelta is the distance of the last record from the first.
func (b Batch) LastOffsetDelta() int32 { return int32(binary.BigEndian.Uint32(b[23:])) }

// Count is the number of offsets that the batch takes.
func (b Batch) Count() int32 { return b.LastOffsetDelta() + 1 }

// BaseTimestamp is the time of the first record.
func (b Batch) BaseTimestamp() Millis { return Millis(binary.BigEndian.Uint64(b[27:])) }

// MaxTimestamp is the latest time of any record in the batch.
func (b Batch) MaxTimestamp() Millis { return Millis(binary.BigEndian.Uint64(b[35:])) }

// ProducerID is the id of an idempotent producer, -1 without one.
func (b Batch) ProducerID() int64 { return int64(binary.BigEndian.Uint64(b[43:])) }

// ProducerEpoch fences older instances of the same producer.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b[51:])) }

// BaseSequence is the producer's number of the first record, -1 without.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[53:])) }

// recordCount is the header's number of records.
func (b Batch) recordCount() int32 { return int32(binary.BigEndian.Uint32(b[57:])) }

// Stamp sets base offset and epoch. The CRC does not cover them, so the rest
// of the batch stays as it came in.
func (b Batch) Stamp(base Offset, epoch Epoch) {
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[12:], uint32(epoch))
}

// CheckHead checks what can be checked without reading the records: that b
// is one batch of magic 2, exactly as long as it says, whose CRC holds and
// whose record count equals its last offset delta + 1. The error is a *Error
// with code CorruptBatch.
func (b Batch) CheckHead() error {
	if len(b) < BatchHeaderBytes {
		return Errorf(CorruptBatch, "batch of %d bytes: the header alone has %d", len(b), BatchHeaderBytes)
	}
	if b[16] != magicV2 {
		return Errorf(CorruptBatch, "batch has magic %d: only %d is known", b[16], magicV2)
	}
	if b.Size() != len(b) {
		return Errorf(CorruptBatch, "batch says %d bytes and has %d", b.Size(), len(b))
	}
	if crc := CRC32C(b[BatchHeadBytes:]); crc != b.CRC() {
		return Errorf(CorruptBatch, "batch CRC-32C is %08x and should be %08x", b.CRC(), crc)
	}
	if n := b.recordCount(); n < 1 || int64(n) != int64(b.LastOffsetDelta())+1 {
		return Errorf(CorruptBatch, "batch has %d records and a last offset delta of %d", n, b.LastOffsetDelta())
	}
	return nil
}
