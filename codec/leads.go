package codec

import (
	"encoding/binary"
	"fmt"
)

// Leads is the letter in which a broker tells which groups it leads, and in what
// term. All of it may be too much for one letter; each is true by itself.
//
//	24   1   1 when the sender has just started, and asks for the same
//	25   3   0
//	28   4   number of groups
//	32       of each: group 8, term 8
type Leads struct {
	Cluster UUID
	Asks    bool
	List    []Lead
}

// Lead is one group, and the term in which it is led.
type Lead struct {
	Group GroupID
	Term  Term
}

const (
	leadsHeadBytes = letterHeadBytes + 8
	leadBytes      = 16
	// LeadsMax is how many groups one letter tells of.
	LeadsMax = 4096
)

// Encode makes the letter; the list has at most LeadsMax elements.
func (l *Leads) Encode() []byte {
	be := binary.BigEndian
	p := letterHead(LetterLeads, l.Cluster, 8+leadBytes*len(l.List))
	asks := byte(0)
	if l.Asks {
		asks = 1
	}
	p = be.AppendUint32(append(p, asks, 0, 0, 0), uint32(len(l.List)))
	for _, one := range l.List {
		p = be.AppendUint64(p, uint64(one.Group))
		p = be.AppendUint64(p, uint64(one.Term))
	}
	return sealLetter(p)
}

// ParseLeads reads what Encode made.
func ParseLeads(p []byte) (*Leads, error) {
	if len(p) < leadsHeadBytes {
		return nil, fmt.Errorf("parse leads: %d bytes, want at least %d", len(p), leadsHeadBytes)
	}
	cluster, err := openLetter(p, LetterLeads, len(p))
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	n := int64(be.Uint32(p[28:]))
	if p[24] > 1 || p[25] != 0 || p[26] != 0 || p[27] != 0 || n > LeadsMax || int64(len(p)) != leadsHeadBytes+n*leadBytes {
		return nil, fmt.Errorf("parse leads: %d groups in %d bytes, head %x", n, len(p), p[24:28])
	}
	l := &Leads{Cluster: cluster, Asks: p[24] == 1}
	for p = p[leadsHeadBytes:]; len(p) > 0; p = p[leadBytes:] {
		l.List = append(l.List, Lead{GroupID(be.Uint64(p)), Term(be.Uint64(p[8:]))})
	}
	return l, nil
}
