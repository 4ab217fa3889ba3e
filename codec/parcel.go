package codec

import (
	"encoding/binary"
	"fmt"
)

// Parcel is the letter in which a broker takes a batch to the one that leads its
// partition. Those of one sender and group are in a row, which the sender begins
// anew, under a higher number, when one of them was lost: whoever receives them takes
// the batches of a row in order and none of an older row.
//
//	24   8   number, the sender's choice
//	32   8   group
//	40   8   row
//	48   8   place in the row, from 0
//	56       the batch
type Parcel struct {
	Cluster UUID
	Number  uint64
	Group   GroupID
	Row     uint64
	Place   uint64
	// Batch is not under the letter's checksum; whoever receives it verifies it.
	Batch Batch
}

const parcelHeadBytes = letterHeadBytes + 8*4

// Encode gives the letter in parts, the batch uncopied.
func (l *Parcel) Encode() [][]byte {
	be := binary.BigEndian
	p := letterHead(LetterParcel, l.Cluster, parcelHeadBytes-letterHeadBytes)
	p = be.AppendUint64(p, l.Number)
	p = be.AppendUint64(p, uint64(l.Group))
	p = be.AppendUint64(p, l.Row)
	p = be.AppendUint64(p, l.Place)
	return [][]byte{sealLetter(p), l.Batch}
}

// ParseParcel reads what Encode gave, in one piece, whose memory it shares.
func ParseParcel(p []byte) (*Parcel, error) {
	if len(p) < parcelHeadBytes+BatchHeaderBytes {
		return nil, fmt.Errorf("parse parcel: %d bytes, want at least %d", len(p), parcelHeadBytes+BatchHeaderBytes)
	}
	cluster, err := openLetter(p, LetterParcel, parcelHeadBytes)
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	return &Parcel{
		Cluster: cluster, Number: be.Uint64(p[24:]), Group: GroupID(be.Uint64(p[32:])), Row: be.Uint64(p[40:]), Place: be.Uint64(p[48:]),
		Batch: Batch(p[parcelHeadBytes:]),
	}, nil
}

// Receipt is the letter that answers a Parcel.
//
//	24   8   number of the parcel
//	32   8   offset of its first record
//	40   8   append time, milliseconds
//	48   8   0; or a row that is not taken any more, the next is to be above it
//	56   8   place in it, of the first that was not taken
//	64       the outcome, as in Outcome
type Receipt struct {
	Cluster  UUID
	Number   uint64
	Produced Produced
	Row      uint64
	Place    uint64
	Outcome
}

const receiptHeadBytes = letterHeadBytes + 8*5

// Encode makes the letter.
func (l *Receipt) Encode() []byte {
	be := binary.BigEndian
	p := letterHead(LetterReceipt, l.Cluster, receiptHeadBytes)
	p = be.AppendUint64(p, l.Number)
	p = be.AppendUint64(p, uint64(l.Produced.Base))
	p = be.AppendUint64(p, uint64(l.Produced.AppendTime))
	p = be.AppendUint64(p, l.Row)
	p = be.AppendUint64(p, l.Place)
	return sealLetter(l.Outcome.appendTo(p))
}

// ParseReceipt reads what Encode made.
func ParseReceipt(p []byte) (*Receipt, error) {
	if len(p) < receiptHeadBytes {
		return nil, fmt.Errorf("parse receipt: %d bytes, want at least %d", len(p), receiptHeadBytes)
	}
	cluster, err := openLetter(p, LetterReceipt, len(p))
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	l := &Receipt{Cluster: cluster, Number: be.Uint64(p[24:]), Produced: Produced{Offset(be.Uint64(p[32:])), Millis(be.Uint64(p[40:]))}, Row: be.Uint64(p[48:]), Place: be.Uint64(p[56:])}
	rest, err := l.Outcome.parse(p[receiptHeadBytes:])
	if err != nil {
		return nil, fmt.Errorf("parse receipt: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("parse receipt: %d bytes too many", len(rest))
	}
	return l, nil
}

// Outcome is how a letter says that what was asked for was done, or why it was not and
// who leads as far as is known there.
//
//	 0   2   code; 0 when it was done
//	 2   8   term in which Leader leads; 0 when it is not known
//	10   2   bytes of Leader
//	12   2   bytes of the message
//	14       Leader, the message
type Outcome struct {
	Code    Code
	Term    Term
	Leader  NodeID
	Message string
}

const (
	outcomeHeadBytes = 14
	outcomeTextMax   = 1 << 10
)

func (o *Outcome) appendTo(p []byte) []byte {
	be := binary.BigEndian
	leader, text := o.Leader[:min(len(o.Leader), nameMax)], o.Message[:min(len(o.Message), outcomeTextMax)]
	p = be.AppendUint16(p, uint16(o.Code))
	p = be.AppendUint64(p, uint64(o.Term))
	p = be.AppendUint16(p, uint16(len(leader)))
	p = be.AppendUint16(p, uint16(len(text)))
	return append(append(p, leader...), text...)
}

func (o *Outcome) parse(p []byte) (rest []byte, err error) {
	be := binary.BigEndian
	if len(p) < outcomeHeadBytes {
		return nil, fmt.Errorf("an outcome of %d bytes", len(p))
	}
	leader, text := int(be.Uint16(p[10:])), int(be.Uint16(p[12:]))
	if leader > nameMax || text > outcomeTextMax || outcomeHeadBytes+leader+text > len(p) {
		return nil, fmt.Errorf("an outcome with a leader of %d and a message of %d bytes in %d", leader, text, len(p))
	}
	o.Code, o.Term = Code(be.Uint16(p)), Term(be.Uint64(p[2:]))
	p = p[outcomeHeadBytes:]
	o.Leader, o.Message = NodeID(p[:leader]), string(p[leader:leader+text])
	return p[leader+text:], nil
}
