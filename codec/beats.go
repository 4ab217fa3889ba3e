package codec

import (
	"encoding/binary"
	"fmt"
)

// Beats is the letter in which replicas of one broker tell those of another that they
// are there: heartbeats of leaders, and the answers to such. Each is about its own
// group, and true or not by itself; they only travel together.
//
//	24  16   disk of the broker that sent it, as in a RaftLetter
//	40   4   number of beats
//	44       of each:
//	          0  1  0 for a heartbeat, 1 for the answer to one
//	          1  8  group
//	          9  8  replica that sent it
//	         17  8  replica that it is for
//	         25  8  term
//	         33  8  what the receiver may take for committed; 0 in an answer
type Beats struct {
	Cluster UUID
	Disk    UUID
	List    []Beat
}

// Beat is one heartbeat, or the answer to one.
type Beat struct {
	Answer   bool
	Group    GroupID
	From, To ReplicaID
	Term     Term
	// Commit is never above what To has acknowledged in that term. So it belongs to
	// one group and one replica, and to no other.
	Commit Index
}

const (
	beatsHeadBytes = letterHeadBytes + 16 + 4
	beatBytes      = 1 + 8*5
	// BeatsMax is how many one letter carries: it is for the control lane.
	BeatsMax = (ControlBytesMax - beatsHeadBytes) / beatBytes
)

// Encode makes the letter; the list has at most BeatsMax elements.
func (l *Beats) Encode() []byte {
	be := binary.BigEndian
	p := letterHead(LetterBeats, l.Cluster, beatsHeadBytes-letterHeadBytes+beatBytes*len(l.List))
	p = append(p, l.Disk[:]...)
	p = be.AppendUint32(p, uint32(len(l.List)))
	for i := range l.List {
		b := &l.List[i]
		answer := byte(0)
		if b.Answer {
			answer = 1
		}
		p = be.AppendUint64(append(p, answer), uint64(b.Group))
		p = be.AppendUint64(p, uint64(b.From))
		p = be.AppendUint64(p, uint64(b.To))
		p = be.AppendUint64(p, uint64(b.Term))
		p = be.AppendUint64(p, uint64(b.Commit))
	}
	return sealLetter(p)
}

// ParseBeats reads what Encode made.
func ParseBeats(p []byte) (*Beats, error) {
	if len(p) < beatsHeadBytes {
		return nil, fmt.Errorf("parse beats: %d bytes, want at least %d", len(p), beatsHeadBytes)
	}
	be := binary.BigEndian
	n := int64(be.Uint32(p[40:]))
	if n > BeatsMax || int64(len(p)) != beatsHeadBytes+n*beatBytes {
		return nil, fmt.Errorf("parse beats: %d of them in %d bytes", n, len(p))
	}
	cluster, err := openLetter(p, LetterBeats, len(p))
	if err != nil {
		return nil, err
	}
	l := &Beats{Cluster: cluster, Disk: UUID(p[24:40]), List: make([]Beat, 0, n)}
	for p = p[beatsHeadBytes:]; len(p) > 0; p = p[beatBytes:] {
		b := Beat{Answer: p[0] == 1, Group: GroupID(be.Uint64(p[1:])), From: ReplicaID(be.Uint64(p[9:])), To: ReplicaID(be.Uint64(p[17:])),
			Term: Term(be.Uint64(p[25:])), Commit: Index(be.Uint64(p[33:]))}
		if p[0] > 1 || b.Answer && b.Commit != 0 {
			return nil, fmt.Errorf("parse beats: one of kind %d with commit index %d", p[0], b.Commit)
		}
		l.List = append(l.List, b)
	}
	return l, nil
}
