package wal

import (
	"encoding/binary"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Hard is the few facts of a replica that promises rest on. It is kept in a
// file of two slots, written in turn and fsynced, so that a torn write leaves
// the older one.
type Hard struct {
	Group   codec.GroupID
	Replica codec.ReplicaID
	// Log is the number of the log that counts: each snapshot installed from
	// another replica begins another one, in directories of its own.
	Log uint64

	Term   codec.Term
	Vote   codec.ReplicaID
	Commit codec.Index // never beyond Durable

	// Durable is the recovery point: entries up to it were fsynced when this
	// was written, so a bad one among them is damage and not a torn write.
	Durable codec.Index

	// Before is the index and the term of the entry before the log's first.
	Before     codec.Index
	BeforeTerm codec.Term
	// Start is the committed start offset; it never goes back.
	Start codec.Offset
	// Next is the limit of the offsets in entries up to Before, so that a log
	// whose entries were all dropped goes on counting where it was.
	Next codec.Offset
	// AppendTime is the leader's clock of the last batch up to Before.
	AppendTime codec.Millis

	// Conf is raft's ConfState as of entry ConfAsOf.
	Conf     []byte
	ConfAsOf codec.Index
}

const (
	hardMagic     = 0x54525048 // "TRPH"
	hardVersion   = 2          // version 1 has no Log
	hardSlotBytes = 4096
	hardFixed     = hardHead + 8*13 // thirteen numbers
	hardHead      = 4 + 2 + 2 + 8   // magic, version, conf length, sequence
	hardConfMax   = hardSlotBytes - hardFixed - 4
)

// hardFile is the open two-slot file.
type hardFile struct {
	file     File
	name     string
	sequence uint64 // of the newest slot
	now      Hard
	slot     []byte // the newest as it was read, until confirm
}

// encode makes one slot.
func (h *Hard) encode(sequence uint64) ([]byte, error) {
	if len(h.Conf) > hardConfMax {
		return nil, fmt.Errorf("hard state: configuration of %d bytes, at most %d", len(h.Conf), hardConfMax)
	}
	be := binary.BigEndian
	p := make([]byte, 0, hardSlotBytes)
	p = be.AppendUint32(p, hardMagic)
	p = be.AppendUint16(p, hardVersion)
	p = be.AppendUint16(p, uint16(len(h.Conf)))
	p = be.AppendUint64(p, sequence)
	for _, v := range []uint64{
		uint64(h.Group), uint64(h.Replica), uint64(h.Term), uint64(h.Vote), uint64(h.Commit), uint64(h.Durable),
		uint64(h.Before), uint64(h.BeforeTerm), uint64(h.Start), uint64(h.Next), uint64(h.AppendTime), uint64(h.ConfAsOf),
		h.Log,
	} {
		p = be.AppendUint64(p, v)
	}
	p = append(p, h.Conf...)
	p = be.AppendUint32(p, codec.CRC32C(p))
	return p[:hardSlotBytes], nil
}

// decodeHard reads one slot; ok is false when it does not hold.
func decodeHard(p []byte) (h Hard, sequence uint64, ok bool) {
	be := binary.BigEndian
	if len(p) < hardHead || be.Uint32(p) != hardMagic {
		return h, 0, false
	}
	fixed := hardFixed
	switch be.Uint16(p[4:]) {
	case hardVersion:
	case 1:
		fixed -= 8
	default:
		return h, 0, false
	}
	end := fixed + int(be.Uint16(p[6:]))
	if end+4 > len(p) || be.Uint32(p[end:]) != codec.CRC32C(p[:end]) {
		return h, 0, false
	}
	n := func(i int) uint64 { return be.Uint64(p[hardHead+8*i:]) }
	h = Hard{
		Group: codec.GroupID(n(0)), Replica: codec.ReplicaID(n(1)), Term: codec.Term(n(2)), Vote: codec.ReplicaID(n(3)),
		Commit: codec.Index(n(4)), Durable: codec.Index(n(5)), Before: codec.Index(n(6)), BeforeTerm: codec.Term(n(7)),
		Start: codec.Offset(n(8)), Next: codec.Offset(n(9)), AppendTime: codec.Millis(n(10)), ConfAsOf: codec.Index(n(11)),
		Conf: append([]byte(nil), p[fixed:end]...),
	}
	if fixed == hardFixed {
		h.Log = n(12)
	}
	return h, be.Uint64(p[8:]), true
}

// openHard reads the newest slot that holds.
func openHard(fs FS, name string) (*hardFile, error) {
	f, err := fs.Open(name, false)
	if err != nil {
		return nil, fmt.Errorf("open hard state: %w", err)
	}
	h := &hardFile{file: f, name: name}
	found, err := h.read()
	if err == nil && !found {
		err = corruptf(name, -1, "neither slot of the hard state holds")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return h, nil
}

func (h *hardFile) read() (found bool, err error) {
	for slot := range int64(2) {
		p := make([]byte, hardSlotBytes)
		n, err := readFull(h.file, p, slot*hardSlotBytes)
		if err != nil {
			return false, fmt.Errorf("read hard state: %w", err)
		}
		if s, sequence, ok := decodeHard(p[:n]); ok && (!found || sequence > h.sequence) {
			h.now, h.sequence, h.slot, found = s, sequence, p, true
		}
	}
	return found, nil
}

// confirm makes the slot that was read durable, by writing it over itself: it
// may be one whose fsync failed, and which only the page cache has. Until then
// the other slot must not be written, for it alone is known to be on the disk.
func (h *hardFile) confirm() error {
	if err := h.put(h.sequence, h.slot); err != nil {
		return err
	}
	h.slot = nil
	return nil
}

// write makes next durable in the older slot.
func (h *hardFile) write(next Hard) error {
	p, err := next.encode(h.sequence + 1)
	if err != nil {
		return err
	}
	if err := h.put(h.sequence+1, p); err != nil {
		return err
	}
	h.sequence++
	h.now = next
	return nil
}

// put writes the slot that is the turn of sequence, and fsyncs it.
func (h *hardFile) put(sequence uint64, slot []byte) error {
	if err := h.file.WriteAt(int64(sequence%2)*hardSlotBytes, slot); err != nil {
		return fmt.Errorf("write hard state: %w", err)
	}
	if err := h.file.Sync(); err != nil {
		return &SyncFailed{fmt.Errorf("hard state: %w", err)}
	}
	return nil
}
