package codec

import (
	"encoding/binary"
	"fmt"
)

// Descriptor stands for a batch where the batch itself does not travel: it is
// what consensus carries and what the WAL keeps. With the term of its entry it
// determines every byte of the batch's head (the first 21), so a payload is
// verified by comparing its head and checking its CRC.
type Descriptor struct {
	BaseOffset    Offset
	Count         int32 // offsets taken, at least 1
	Size          int32 // bytes of the whole batch
	CRC           uint32
	MaxTimestamp  Millis // latest record timestamp, from the client
	AppendTime    Millis // the leader's clock, never decreasing along a log
	ProducerID    int64  // -1 without
	ProducerEpoch int16
	BaseSequence  int32
}

// DescriptorBytes is the length of an encoded descriptor.
const DescriptorBytes = 8 + 4 + 4 + 4 + 8 + 8 + 8 + 2 + 4

// Describe makes the descriptor of a stamped and verified batch.
func Describe(b Batch, appendTime Millis) Descriptor {
	return Descriptor{
		BaseOffset: b.BaseOffset(), Count: b.Count(), Size: int32(len(b)), CRC: b.CRC(),
		MaxTimestamp: b.MaxTimestamp(), AppendTime: appendTime,
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
	}
}

// Limit is the offset after the last record.
func (d Descriptor) Limit() Offset { return d.BaseOffset + Offset(d.Count) }

// Append writes d behind dst.
func (d Descriptor) Append(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint64(dst, uint64(d.BaseOffset))
	dst = be.AppendUint32(dst, uint32(d.Count))
	dst = be.AppendUint32(dst, uint32(d.Size))
	dst = be.AppendUint32(dst, d.CRC)
	dst = be.AppendUint64(dst, uint64(d.MaxTimestamp))
	dst = be.AppendUint64(dst, uint64(d.AppendTime))
	dst = be.AppendUint64(dst, uint64(d.ProducerID))
	dst = be.AppendUint16(dst, uint16(d.ProducerEpoch))
	return be.AppendUint32(dst, uint32(d.BaseSequence))
}

// ParseDescriptor reads what Append wrote; p must be exactly that.
func ParseDescriptor(p []byte) (Descriptor, error) {
	if len(p) != DescriptorBytes {
		return Descriptor{}, fmt.Errorf("parse descriptor: %d bytes, want %d", len(p), DescriptorBytes)
	}
	be := binary.BigEndian
	d := Descriptor{
		BaseOffset: Offset(be.Uint64(p)), Count: int32(be.Uint32(p[8:])), Size: int32(be.Uint32(p[12:])),
		CRC: be.Uint32(p[16:]), MaxTimestamp: Millis(be.Uint64(p[20:])), AppendTime: Millis(be.Uint64(p[28:])),
		ProducerID: int64(be.Uint64(p[36:])), ProducerEpoch: int16(be.Uint16(p[44:])), BaseSequence: int32(be.Uint32(p[46:])),
	}
	if d.BaseOffset < 0 || d.Count < 1 || d.Size < BatchHeaderBytes || d.Limit() < d.BaseOffset {
		return Descriptor{}, fmt.Errorf("parse descriptor: base offset %d, count %d, size %d", d.BaseOffset, d.Count, d.Size)
	}
	return d, nil
}

// Head is what the first 21 bytes of the batch must be when it was proposed
// in epoch.
func (d Descriptor) Head(epoch Epoch) [BatchHeadBytes]byte {
	var h [BatchHeadBytes]byte
	be := binary.BigEndian
	be.PutUint64(h[:], uint64(d.BaseOffset))
	be.PutUint32(h[8:], uint32(d.Size-batchLengthAfter))
	be.PutUint32(h[12:], uint32(epoch))
	h[16] = magicV2
	be.PutUint32(h[17:], d.CRC)
	return h
}

// Matches says what is wrong with b as the payload of d in epoch: nil, or an
// error that names the first difference.
func (d Descriptor) Matches(b Batch, epoch Epoch) error {
	if len(b) != int(d.Size) {
		return fmt.Errorf("payload of offset %d has %d bytes, its descriptor says %d", d.BaseOffset, len(b), d.Size)
	}
	if h := d.Head(epoch); [BatchHeadBytes]byte(b[:BatchHeadBytes]) != h {
		return fmt.Errorf("payload of offset %d has head %x, its descriptor says %x", d.BaseOffset, b[:BatchHeadBytes], h)
	}
	if crc := CRC32C(b[BatchHeadBytes:]); crc != d.CRC {
		return fmt.Errorf("payload of offset %d has CRC-32C %08x, its descriptor says %08x", d.BaseOffset, crc, d.CRC)
	}
	return nil
}
