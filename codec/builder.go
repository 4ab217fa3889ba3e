package codec

import (
	"encoding/binary"
	"math"
)

// Builder makes one batch of records. It allocates nothing per record while
// its buffer has room; Reset keeps the buffer. The zero value is ready.
type Builder struct {
	buf    []byte // header room, then the records uncompressed
	packed []byte // the batch when it was compressed
	first  Millis
	latest Millis
	count  int32
}

// Reset forgets the records and makes a batch built before invalid.
func (b *Builder) Reset() { b.buf, b.count = b.buf[:0], 0 }

// Count is the number of records so far.
func (b *Builder) Count() int { return int(b.count) }

// Size is the number of bytes of the batch so far, uncompressed, with its
// header; 0 without records.
func (b *Builder) Size() int { return len(b.buf) }

// RecordBytesMax is the most that a record with these parts adds to a batch.
func RecordBytesMax(key, value []byte, headers []Header) int {
	n := 5 + 1 + 10 + 5 + 5 + 5 + 5 + len(key) + len(value)
	for _, h := range headers {
		n += 10 + len(h.Key) + len(h.Value)
	}
	return n
}

// Append adds a record; nil key and value are null. The parts are copied.
// The first record of all sets the base timestamp.
func (b *Builder) Append(t Millis, key, value []byte, headers []Header) {
	if b.count == 0 {
		b.buf = append(b.buf[:0], make([]byte, BatchHeaderBytes)...)
		b.first, b.latest = t, math.MinInt64
	}
	delta := int64(t) - int64(b.first)
	size := 1 + varintBytes(delta) + varintBytes(int64(b.count)) + fieldBytes(key) + fieldBytes(value)
	size += varintBytes(int64(len(headers)))
	for _, h := range headers {
		size += varintBytes(int64(len(h.Key))) + len(h.Key) + fieldBytes(h.Value)
	}
	p := binary.AppendVarint(b.buf, int64(size))
	p = append(p, 0)
	p = binary.AppendVarint(p, delta)
	p = binary.AppendVarint(p, int64(b.count))
	p = appendField(appendField(p, key), value)
	p = binary.AppendVarint(p, int64(len(headers)))
	for _, h := range headers {
		p = append(binary.AppendVarint(p, int64(len(h.Key))), h.Key...)
		p = appendField(p, h.Value)
	}
	b.buf, b.latest = p, max(b.latest, t)
	b.count++
}

// Build makes the batch: base offset 0, no producer. It shares the Builder's
// memory until Reset. Records that compression does not make smaller, or
// makes so small that a reader must take them for a bomb, stay uncompressed.
// It panics without records.
func (b *Builder) Build(c Compression) (Batch, error) {
	batch, err := b.BuildUnsigned(c)
	if err == nil {
		batch.sum()
	}
	return batch, err
}

// BuildUnsigned is Build for a batch that SetProducer is going to complete: it
// has no checksum yet.
func (b *Builder) BuildUnsigned(c Compression) (Batch, error) {
	if b.count == 0 {
		panic("codec: batch without records")
	}
	batch := Batch(b.buf)
	used := NoCompression
	if c != NoCompression {
		packed, err := Compress(c, append(b.packed[:0], b.buf[:BatchHeaderBytes]...), b.buf[BatchHeaderBytes:])
		if err != nil {
			return nil, err
		}
		b.packed = packed
		if raw := len(b.buf) - BatchHeaderBytes; len(packed) < len(b.buf) && raw <= outputMax(len(packed)-BatchHeaderBytes, raw) {
			batch, used = packed, c
		}
	}
	b.head(batch, used)
	return batch, nil
}

// head writes the header of p, but for the checksum.
func (b *Builder) head(p Batch, c Compression) {
	be := binary.BigEndian
	be.PutUint64(p, 0)
	be.PutUint32(p[8:], uint32(len(p)-batchLengthAfter))
	be.PutUint32(p[12:], math.MaxUint32) // -1: no leader has stamped it
	p[16] = magicV2
	be.PutUint16(p[21:], uint16(c))
	be.PutUint32(p[23:], uint32(b.count-1))
	be.PutUint64(p[27:], uint64(b.first))
	be.PutUint64(p[35:], uint64(b.latest))
	be.PutUint64(p[43:], math.MaxUint64) // producer id -1
	be.PutUint16(p[51:], math.MaxUint16)
	be.PutUint32(p[53:], math.MaxUint32)
	be.PutUint32(p[57:], uint32(b.count))
}

// sum writes the checksum of b.
func (b Batch) sum() { binary.BigEndian.PutUint32(b[17:], CRC32C(b[BatchHeadBytes:])) }

// SetProducer writes who sends the batch, and the sequence of its first record,
// into b, and its checksum anew. All three are -1 in a batch that was built.
func (b Batch) SetProducer(id int64, epoch int16, sequence int32) {
	be := binary.BigEndian
	be.PutUint64(b[43:], uint64(id))
	be.PutUint16(b[51:], uint16(epoch))
	be.PutUint32(b[53:], uint32(sequence))
	b.sum()
}

func appendField(p, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(p, -1)
	}
	return append(binary.AppendVarint(p, int64(len(v))), v...)
}

func fieldBytes(v []byte) int {
	if v == nil {
		return 1
	}
	return varintBytes(int64(len(v))) + len(v)
}

// varintBytes is the length of v as a zigzag varint.
func varintBytes(v int64) int {
	n, u := 1, uint64(v<<1)^uint64(v>>63)
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}
