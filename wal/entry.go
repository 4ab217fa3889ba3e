package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/troupe-mq/troupe/codec"
)

// Entry is one raft entry of a replica's log.
type Entry struct {
	Index codec.Index
	Term  codec.Term
	Type  uint8 // raft's entry type: 0 normal, 1 and 2 configuration
	Data  []byte
	// Payloads are the batches of an entry whose data are descriptors, on the way
	// to the disk. Entries read back have none: they lie at Place, one behind the
	// other.
	Payloads []codec.Batch
	Place    Place
}

// Place is where the payloads of an entry lie.
type Place struct {
	Segment  codec.Offset // the base offset that names the segment file
	Position int64        // of the first batch's first byte in that file
}

// batches are the descriptors of an entry that has payloads.
func (e *Entry) batches() (run codec.Run, ok bool, err error) {
	if e.Type != 0 {
		return nil, false, nil
	}
	return codec.ParseBatchEntry(e.Data)
}

// An entry rests in the WAL as this header, then its data:
//
//	 0  version  1
//	 1  type     raft's entry type
//	 2  crc      CRC-32C of everything but these four bytes
//	 6  index
//	14  term
//	22  synced   the highest index known durable when this was written
//	30  segment  ┐ where the payload lies,
//	38  position ┘ zero without one
//	46  data
//
// It is never empty, so a zero-filled tail is recognised at its first byte;
// the index is inside the checksum, so an entry out of place is too.
const (
	entryVersion     = 1
	entryHeaderBytes = 46
)

func appendEntry(dst []byte, e *Entry, synced codec.Index) []byte {
	at := len(dst)
	be := binary.BigEndian
	dst = append(dst, entryVersion, e.Type, 0, 0, 0, 0)
	dst = be.AppendUint64(dst, uint64(e.Index))
	dst = be.AppendUint64(dst, uint64(e.Term))
	dst = be.AppendUint64(dst, uint64(synced))
	dst = be.AppendUint64(dst, uint64(e.Place.Segment))
	dst = be.AppendUint64(dst, uint64(e.Place.Position))
	dst = append(dst, e.Data...)
	be.PutUint32(dst[at+2:], entryCRC(dst[at:]))
	return dst
}

// parseEntry reads what appendEntry wrote. Data aliases p.
func parseEntry(p []byte) (e Entry, synced codec.Index, err error) {
	if len(p) < entryHeaderBytes {
		return e, 0, fmt.Errorf("entry of %d bytes: its header alone has %d", len(p), entryHeaderBytes)
	}
	if p[0] != entryVersion {
		return e, 0, fmt.Errorf("entry has version %d, want %d", p[0], entryVersion)
	}
	be := binary.BigEndian
	if want := entryCRC(p); be.Uint32(p[2:]) != want {
		return e, 0, fmt.Errorf("entry CRC-32C is %08x and should be %08x", be.Uint32(p[2:]), want)
	}
	e = Entry{
		Index: codec.Index(be.Uint64(p[6:])), Term: codec.Term(be.Uint64(p[14:])), Type: p[1],
		Place: Place{Segment: codec.Offset(be.Uint64(p[30:])), Position: int64(be.Uint64(p[38:]))},
		Data:  p[entryHeaderBytes:len(p):len(p)],
	}
	return e, codec.Index(be.Uint64(p[22:])), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func entryCRC(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(p[:2], castagnoli), castagnoli, p[6:])
}
