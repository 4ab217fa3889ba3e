package main

import (
	"encoding/binary"
	"fmt"
)

// A record says where it belongs: partition, number of its batch there, place
// in the batch; then filler that does not compress well.
const recordHead = 2 + 8 + 4

func fillRecord(p []byte, partition int, batch uint64, at int) {
	binary.BigEndian.PutUint16(p, uint16(partition))
	binary.BigEndian.PutUint64(p[2:], batch)
	binary.BigEndian.PutUint32(p[10:], uint32(at))
}

// parseRecord reads what fillRecord wrote.
func parseRecord(p []byte) (partition int, batch uint64, at int, err error) {
	if len(p) < recordHead {
		return 0, 0, 0, fmt.Errorf("a record of %d bytes is none of ours", len(p))
	}
	return int(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint64(p[2:]), int(binary.BigEndian.Uint32(p[10:])), nil
}

// filler is what stands behind the head: a fixed noise.
func filler(n int) []byte {
	p := make([]byte, n)
	x := uint64(0x9e3779b97f4a7c15)
	for i := range p {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
	return p
}

// batchOf is one batch of records, to be filled again and again.
type batchOf struct {
	number  uint64
	records [][]byte
}

func newBatch(s shape) *batchOf {
	b := &batchOf{records: make([][]byte, s.Batch)}
	noise := filler(s.RecordSize)
	for i := range b.records {
		b.records[i] = append([]byte(nil), noise...)
	}
	return b
}

func (b *batchOf) fill(partition int, number uint64) {
	b.number = number
	for i := range b.records {
		fillRecord(b.records[i], partition, number, i)
	}
}
