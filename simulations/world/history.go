package world

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math/rand/v2"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// story is what clients did and were told, as check judges it.
type story struct {
	w       *World
	chance  *rand.Rand
	history check.History
	token   uint64
	session int
	acked   int
	unknown int
	failed  int
	read    int
}

func newStory(w *World, name string) *story {
	return &story{w: w, chance: w.Rand(name), history: check.History{Start: map[codec.TopicPartition]codec.Offset{}}}
}

// moment is the clock of the history: no two events share one.
func (s *story) moment() int64 {
	return int64(len(s.history.Produces)+len(s.history.Reads)) + int64(s.w.steps)<<20
}

func valueHash(p []byte) uint64 { return crc64.Checksum(p, crcTable) }

var crcTable = crc64.MakeTable(crc64.ECMA)

// records puts n new records into b, each with a token of its own, that are
// about to be sent; where they stand in the history.
func (s *story) records(b *codec.Builder, log codec.TopicPartition, n int) (at []int) {
	bytes := 16 + s.chance.IntN(64)
	if s.chance.IntN(25) == 0 {
		bytes = 100 << 10 // so that segments end
	}
	for range n {
		s.token++
		value := binary.BigEndian.AppendUint64(make([]byte, 0, bytes), s.token)
		for len(value) < bytes {
			value = append(value, byte(s.token))
		}
		b.Append(s.w.Now(), nil, value, nil)
		at = append(at, len(s.history.Produces))
		s.history.Produces = append(s.history.Produces, check.Produce{Log: log, Token: s.token, Value: valueHash(value), Call: s.moment(), Outcome: check.Unknown, Attempts: 1})
	}
	return at
}

// told notes the outcome of a batch.
func (s *story) told(at []int, p codec.Produced, err error) {
	code := codec.CodeOf(err)
	for i, k := range at {
		one := &s.history.Produces[k]
		one.Return = s.moment()
		switch code {
		case codec.OK:
			one.Outcome, one.Offset = check.OK, p.Base+codec.Offset(i)
			s.acked++
		case codec.Unknown:
			s.unknown++
		default:
			one.Outcome = check.Failed
			s.failed++
		}
	}
	s.w.Note("client", "answer "+code.String(), uint64(p.Base)<<16|uint64(len(at)))
}

// forgotten is a batch whose answer nobody will hear.
func (s *story) forgotten(at []int) { s.unknown += len(at) }

// newSession is a reader's name in the history.
func (s *story) newSession(of string) string {
	s.session++
	return fmt.Sprintf("%s %d", of, s.session)
}

// took notes the records of the batches p from offset from on, read by a
// session since call.
func (s *story) took(log codec.TopicPartition, session string, call int64, from codec.Offset, p []byte) (next codec.Offset, err error) {
	next = from
	for len(p) > 0 {
		b := codec.Batch(p)
		b = b[:b.Size()]
		rs := b.Records(b[codec.BatchHeaderBytes:])
		for rs.Next() {
			r := rs.Record()
			if r.Offset < from {
				continue
			}
			s.read++
			s.history.Reads = append(s.history.Reads, check.Read{Log: log, Session: session, Offset: r.Offset,
				Token: binary.BigEndian.Uint64(r.Value), Value: valueHash(r.Value), Call: call, Return: s.moment()})
			next = r.Offset + 1
		}
		if rs.Err() != nil {
			return next, rs.Err()
		}
		p = p[len(b):]
	}
	return next, nil
}
