package codec

import (
	"encoding/binary"
	"fmt"
)

// LookKind is what a Look asks for.
type LookKind byte

// The kinds of looks.
const (
	LookBounds LookKind = 0 // where the log begins and ends: Sight's Start and HighWatermark
	LookRead   LookKind = 1 // batches from At on, about Bytes of them
	LookAwait  LookKind = 2 // answered when the high watermark is above At, or when Within has passed
	LookTime   LookKind = 3 // the earliest offset whose timestamp is at or after At
	LookTrim   LookKind = 4 // that the log begins at At
)

// Look is the letter that asks another broker something about a partition that it
// has a replica of.
//
//	24   8   number, the asker's choice
//	32   8   group
//	40   8   at, an offset or a time
//	48   4   bytes
//	52   4   milliseconds that are left for an answer
//	56   1   kind
//	57   7   0
type Look struct {
	Cluster UUID
	Number  uint64
	Group   GroupID
	Kind    LookKind
	At      int64
	Bytes   uint32
	Within  uint32
}

const lookBytes = letterHeadBytes + 8*5

// Encode makes the letter.
func (l *Look) Encode() []byte {
	be := binary.BigEndian
	p := letterHead(LetterLook, l.Cluster, lookBytes-letterHeadBytes)
	p = be.AppendUint64(p, l.Number)
	p = be.AppendUint64(p, uint64(l.Group))
	p = be.AppendUint64(p, uint64(l.At))
	p = be.AppendUint32(p, l.Bytes)
	p = be.AppendUint32(p, l.Within)
	return sealLetter(append(p, byte(l.Kind), 0, 0, 0, 0, 0, 0, 0))
}

// ParseLook reads what Encode made.
func ParseLook(p []byte) (*Look, error) {
	if len(p) != lookBytes {
		return nil, fmt.Errorf("parse look: %d bytes, want %d", len(p), lookBytes)
	}
	cluster, err := openLetter(p, LetterLook, len(p))
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if be.Uint64(p[56:])<<8 != 0 || LookKind(p[56]) > LookTrim {
		return nil, fmt.Errorf("parse look: kind %x is not known", p[56:])
	}
	return &Look{
		Cluster: cluster, Number: be.Uint64(p[24:]), Group: GroupID(be.Uint64(p[32:])), At: int64(be.Uint64(p[40:])), Bytes: be.Uint32(p[48:]),
		Within: be.Uint32(p[52:]), Kind: LookKind(p[56]),
	}, nil
}

// Sight is the letter that answers a Look.
//
//	24   8   number of the look
//	32   8   start of the log
//	40   8   high watermark
//	48   8   offset, of a LookTime and a LookTrim
//	56   4   message.bytes.max of the topic
//	60   1   1 when the offset was found
//	61   3   0
//	64       the outcome, as in Outcome
//	         batches
type Sight struct {
	Cluster       UUID
	Number        uint64
	Start         Offset
	HighWatermark Offset
	Offset        Offset
	BytesMax      uint32
	Found         bool
	Outcome
	Batches []byte
}

const sightHeadBytes = letterHeadBytes + 8*5

// Encode makes the letter.
func (l *Sight) Encode() []byte {
	be := binary.BigEndian
	p := letterHead(LetterSight, l.Cluster, sightHeadBytes+outcomeHeadBytes+len(l.Leader)+len(l.Message)+len(l.Batches))
	p = be.AppendUint64(p, l.Number)
	p = be.AppendUint64(p, uint64(l.Start))
	p = be.AppendUint64(p, uint64(l.HighWatermark))
	p = be.AppendUint64(p, uint64(l.Offset))
	p = be.AppendUint32(p, l.BytesMax)
	found := byte(0)
	if l.Found {
		found = 1
	}
	p = l.Outcome.appendTo(append(p, found, 0, 0, 0))
	return sealLetter(append(p, l.Batches...))
}

// ParseSight reads what Encode made, whose memory it shares.
func ParseSight(p []byte) (*Sight, error) {
	if len(p) < sightHeadBytes {
		return nil, fmt.Errorf("parse sight: %d bytes, want at least %d", len(p), sightHeadBytes)
	}
	cluster, err := openLetter(p, LetterSight, len(p))
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if p[60] > 1 || p[61] != 0 || p[62] != 0 || p[63] != 0 {
		return nil, fmt.Errorf("parse sight: %x where 1 or 0 is to be", p[60:64])
	}
	l := &Sight{
		Cluster: cluster, Number: be.Uint64(p[24:]), Start: Offset(be.Uint64(p[32:])), HighWatermark: Offset(be.Uint64(p[40:])),
		Offset: Offset(be.Uint64(p[48:])), BytesMax: be.Uint32(p[56:]), Found: p[60] == 1,
	}
	rest, err := l.Outcome.parse(p[sightHeadBytes:])
	if err != nil {
		return nil, fmt.Errorf("parse sight: %w", err)
	}
	if len(rest) > 0 {
		l.Batches = rest
	}
	return l, nil
}
