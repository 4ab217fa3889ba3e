package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/troupe-mq/troupe/codec"
)

// Hard is the few facts of a replica that promises rest on. It is kept in a
// file of two slots that say the same of all but Commit and Durable, so that
// neither a torn write nor rot of one takes a promise away.
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

// promisesAs says whether other rests the same promises on the same facts: all
// but what is known to be committed and durable, which is found again.
func (h Hard) promisesAs(other Hard) bool {
	conf := bytes.Equal(h.Conf, other.Conf)
	h.Conf, h.Commit, h.Durable = nil, 0, 0
	other.Conf, other.Commit, other.Durable = nil, 0, 0
	return conf && reflect.DeepEqual(h, other)
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
