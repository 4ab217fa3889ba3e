package codec

import (
	"encoding/binary"
	"fmt"
)

// A letter is what one broker sends another: the bytes of one frame of their
// link. It begins with a head of 24 bytes; integers are big endian.
//
//	at  size what
//	 0   1   kind
//	 1   1   version, 1
//	 2   2   0
//	 4   4   CRC-32C of [8, end), short of the batches of a RaftLetter, a Parcel, a Call and a Reply
//	 8  16   cluster
//	24       what the kind says
//
// The link sees to order and to who may send; the checksum is against what
// TCP's own does not see, and batches have theirs.
const letterHeadBytes = 24

const letterVersion = 1

// LetterKind is the first byte of a letter.
type LetterKind byte

const (
	// LetterRaft is a message from one replica of a group to another.
	LetterRaft LetterKind = 1
	// LetterAsk asks the leader of the metadata group to propose a command.
	LetterAsk LetterKind = 2
	// LetterAnswer answers a LetterAsk.
	LetterAnswer LetterKind = 3
	// LetterLeads tells which groups its sender leads.
	LetterLeads LetterKind = 4
	// LetterParcel takes a batch to the leader of its partition.
	LetterParcel LetterKind = 5
	// LetterReceipt answers a LetterParcel.
	LetterReceipt LetterKind = 6
	// LetterLook asks something about a partition.
	LetterLook LetterKind = 7
	// LetterSight answers a LetterLook.
	LetterSight LetterKind = 8
	// LetterCall is what a service asks a partition for; brokers send none.
	LetterCall LetterKind = 9
	// LetterReply answers a LetterCall.
	LetterReply LetterKind = 10
	// LetterBeats are heartbeats of many groups, and answers to such.
	LetterBeats LetterKind = 11
)

// KindOfLetter is the kind of a letter, and the cluster that it is of.
func KindOfLetter(p []byte) (LetterKind, UUID, error) {
	if len(p) < letterHeadBytes || p[1] != letterVersion {
		return 0, UUID{}, fmt.Errorf("parse letter: %d bytes, not of version %d", len(p), letterVersion)
	}
	return LetterKind(p[0]), UUID(p[8:24]), nil
}

// letterHead begins a letter; sealLetter ends it.
func letterHead(kind LetterKind, cluster UUID, room int) []byte {
	p := make([]byte, letterHeadBytes, letterHeadBytes+room)
	p[0], p[1] = byte(kind), letterVersion
	copy(p[8:], cluster[:])
	return p
}

func sealLetter(p []byte) []byte {
	binary.BigEndian.PutUint32(p[4:], CRC32C(p[8:]))
	return p
}

// openLetter checks the head of a letter whose checksum covers p[:limit].
func openLetter(p []byte, kind LetterKind, limit int) (UUID, error) {
	got, cluster, err := KindOfLetter(p)
	switch {
	case err != nil:
		return cluster, err
	case got != kind || p[2] != 0 || p[3] != 0:
		return cluster, fmt.Errorf("parse letter: head %x, want kind %d", p[:4], kind)
	case binary.BigEndian.Uint32(p[4:]) != CRC32C(p[8:limit]) && !Mutant("letter-not-checked"):
		return cluster, fmt.Errorf("parse letter: CRC-32C is %08x and should be %08x", CRC32C(p[8:limit]), binary.BigEndian.Uint32(p[4:]))
	}
	return cluster, nil
}

// RaftLetter is a message of consensus between two replicas of a group.
//
//	24  16   disk of the broker that sent it
//	40   8   group
//	48   8   replica that sent it
//	56   8   replica that it is for
//	64   4   bytes of the message
//	68   4   number of batches
//	72       the message, a raftpb.Message in protobuf
//	         the batches that its entries describe, in order
type RaftLetter struct {
	Cluster UUID
	// Disk is what the sender registered with: a broker with another disk than
	// the one that promised for it is none that may speak for it.
	Disk     UUID
	Group    GroupID
	From, To ReplicaID
	Raft     []byte
	// Payloads are the batches of the entries in Raft. Whoever receives them
	// checks them against their descriptors.
	Payloads []Batch
}

const raftLetterHeadBytes = letterHeadBytes + 16 + 8*3 + 4 + 4

// Encode gives the letter in parts, to be sent one behind the other. The
// payloads are not copied.
func (l *RaftLetter) Encode() [][]byte {
	be := binary.BigEndian
	p := letterHead(LetterRaft, l.Cluster, raftLetterHeadBytes-letterHeadBytes+len(l.Raft))
	p = append(p, l.Disk[:]...)
	p = be.AppendUint64(p, uint64(l.Group))
	p = be.AppendUint64(p, uint64(l.From))
	p = be.AppendUint64(p, uint64(l.To))
	p = be.AppendUint32(p, uint32(len(l.Raft)))
	p = be.AppendUint32(p, uint32(len(l.Payloads)))
	p = append(p, l.Raft...)
	parts := append(make([][]byte, 0, 1+len(l.Payloads)), sealLetter(p))
	for _, b := range l.Payloads {
		parts = append(parts, b)
	}
	return parts
}

// ParseRaftLetter reads what Encode gave, in one piece. The result shares its
// memory; of the payloads nothing is known but where they begin and end.
func ParseRaftLetter(p []byte) (*RaftLetter, error) {
	if len(p) < raftLetterHeadBytes {
		return nil, fmt.Errorf("parse raft letter: %d bytes, want at least %d", len(p), raftLetterHeadBytes)
	}
	be := binary.BigEndian
	limit := raftLetterHeadBytes + int64(be.Uint32(p[64:]))
	if limit > int64(len(p)) {
		return nil, fmt.Errorf("parse raft letter: its message ends at %d of %d bytes", limit, len(p))
	}
	cluster, err := openLetter(p, LetterRaft, int(limit))
	if err != nil {
		return nil, err
	}
	l := &RaftLetter{
		Cluster: cluster, Disk: UUID(p[24:40]), Group: GroupID(be.Uint64(p[40:])), From: ReplicaID(be.Uint64(p[48:])), To: ReplicaID(be.Uint64(p[56:])),
		Raft: p[raftLetterHeadBytes:limit:limit],
	}
	if l.Payloads, err = splitBatches(p[limit:], int64(be.Uint32(p[68:]))); err != nil {
		return nil, fmt.Errorf("parse raft letter: %w", err)
	}
	return l, nil
}

// splitBatches cuts p into n batches, by the lengths in their headers.
func splitBatches(p []byte, n int64) ([]Batch, error) {
	if n > int64(len(p)/BatchHeaderBytes) {
		return nil, fmt.Errorf("%d batches in %d bytes", n, len(p))
	}
	list := make([]Batch, 0, n)
	for range n {
		if len(p) < BatchHeaderBytes {
			return nil, fmt.Errorf("%d bytes are left for a batch", len(p))
		}
		size := Batch(p).Size()
		if size < BatchHeaderBytes || size > len(p) {
			return nil, fmt.Errorf("a batch says it has %d bytes of %d", size, len(p))
		}
		list = append(list, Batch(p[:size:size]))
		p = p[size:]
	}
	if len(p) > 0 {
		return nil, fmt.Errorf("%d bytes behind the last batch", len(p))
	}
	return list, nil
}
