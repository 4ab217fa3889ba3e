package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// inFlightIdempotent is how many batches of a partition may be without an answer
// when a log has to tell one that is sent again: it remembers as many.
const inFlightIdempotent = 5

// sequenceMask is the highest sequence; 0 follows it.
const sequenceMask = 1<<31 - 1

// numbering is what an idempotent producer writes into its batches of one
// partition. A parcel that was given up after it got its number leaves a hole:
// nothing behind it can be stored under this epoch any more, so the lane goes on
// with the next.
type numbering struct {
	who  codec.ProducerIdentity
	next int32  // sequence of the next record
	hole uint64 // number of the first parcel that was given up, 0 = none
	sure uint64 // of the first that is known not to be stored, 0 = none: nor is any behind it
	used bool   // somebody else has this id too, so another is due
}

// take is the sequence of the first of count records.
func (n *numbering) take(count int) int32 {
	first := n.next
	n.next = int32((int64(first) + int64(count)) & sequenceMask)
	return first
}

// broke notes a hole.
func (n *numbering) broke(at uint64, stored bool) {
	if n.hole == 0 || at < n.hole {
		n.hole = at
	}
	if !stored && (n.sure == 0 || at < n.sure) {
		n.sure = at
	}
}

// admits says whether a parcel can still be stored under this epoch.
func (n *numbering) admits(q *parcel) bool { return n.hole == 0 || q.numbered && q.number < n.hole }

// unsure says whether a parcel may be stored under this epoch.
func (n *numbering) unsure(q *parcel) bool { return q.unsure && (n.sure == 0 || q.number <= n.sure) }

// begin starts to count anew.
func (n *numbering) begin(who codec.ProducerIdentity) { *n = numbering{who: who} }

// identify gets the identity of an idempotent producer.
func (p *Producer) identify(ctx context.Context) (err error) {
	if p.options.NoRetry || p.options.NotIdempotent {
		return nil
	}
	if p.identity, err = p.client.NewProducerIdentity(ctx); err != nil {
		return fmt.Errorf("produce to %q: get a producer id: %w", p.topic, err)
	}
	p.idempotent = true
	p.options.MaxInFlight = min(p.options.MaxInFlight, inFlightIdempotent)
	return nil
}

// number gives a parcel that leaves its number, unless it has one. Parcels of a
// lane leave in order. sign writes it.
func (l *lane) number(q *parcel) {
	if !l.producer.idempotent || q.numbered {
		return
	}
	q.numbered, q.unsigned = true, true
	q.shared = q.holds.Load() > 1
	q.who, q.sequence = l.numbers.who, l.numbers.take(q.builder.Count())
}

// sign writes a parcel's number into its batch, outside of any lock: it is the
// sender's alone.
func (q *parcel) sign() {
	if !q.unsigned {
		return
	}
	q.unsigned = false
	if q.shared { // a link that was lost may still be writing it
		q.request.Batch = slices.Clone(q.request.Batch)
	}
	q.request.Batch.SetProducer(q.who.ID, q.who.Epoch, q.sequence)
}

// renew goes on with the next epoch behind a hole, when all before it are told
// and nothing is in flight. It returns those that may be stored, and that cannot
// be sent under another epoch without the risk of being stored twice.
func (l *lane) renew() (unsure []*parcel) {
	n := &l.numbers
	if n.hole == 0 || l.aloft > 0 || l.dialing {
		return nil
	}
	for _, q := range l.parcels {
		if q.stage == waiting && q.numbered && q.number < n.hole {
			return nil
		}
	}
	who := n.who
	if n.used || who.Epoch == math.MaxInt16 {
		if l.resting() || l.rename() {
			return nil
		} // else the client is closed, and nothing leaves any more
	} else {
		who.Epoch++
	}
	return l.restart(who)
}

// restart counts from 0 under another identity.
func (l *lane) restart(who codec.ProducerIdentity) (unsure []*parcel) {
	for _, q := range l.parcels {
		if q.stage != waiting || !q.numbered {
			continue
		}
		if l.numbers.unsure(q) {
			l.fail(q, errUnsure)
			unsure = append(unsure, q)
			continue
		}
		q.numbered, q.unsure = false, false
	}
	l.numbers.begin(who)
	return unsure
}

// errUnsure is told to batches that may be stored, and that could not be sent
// again.
var errUnsure = codec.Errorf(codec.Unknown, "PRODUCE: no answer, and it cannot be sent again: a batch before it was given up")

// rename asks for another id beside everything else; then the lane goes on.
// False when the client is closed.
func (l *lane) rename() bool {
	p := l.producer
	l.dialing = true
	ok := p.client.spawn(func() {
		ctx, cancel := context.WithCancel(p.ctx)
		defer cancel()
		defer context.AfterFunc(p.client.ctx, cancel)()
		who, err := p.client.NewProducerIdentity(ctx)
		if p.ctx.Err() != nil {
			err = errNotSent
		}
		l.mu.Lock()
		l.dialing = false
		given := l.unreachable(err)
		if err == nil {
			given, err = l.restart(who), errUnsure
		}
		l.mu.Unlock()
		for _, q := range given {
			q.tell(0, err)
		}
		l.pump()
	})
	l.dialing = ok
	return ok
}

// again says whether a parcel that ended with err is to be sent again.
func (l *lane) again(q *parcel, err error) bool {
	o := &l.producer.options
	switch code := codec.CodeOf(err); {
	case o.NoRetry:
		return false
	case code == codec.Unknown:
		q.unsure = true
		return q.numbered || o.MayStoreTwice
	case q.numbered && code == codec.SequenceGap:
		return l.gap(q)
	case q.numbered && (code == codec.Fenced || code == codec.DuplicateSequence):
		l.numbers.used = true
		return false
	}
	return mayHelp(err)
}

// gap is a SEQUENCE_GAP of a parcel; whether to send it again. Mostly one before
// it is on its way to be sent again, or was given up. Otherwise the log knows
// nothing of this producer any more, which begins anew.
func (l *lane) gap(q *parcel) bool {
	for _, o := range l.parcels {
		if o == q {
			break
		}
		if o.numbered && o.stage != told {
			return true
		}
	}
	if l.numbers.hole != 0 && l.numbers.hole < q.number {
		return true
	}
	if q.unsure {
		return false
	}
	l.numbers.broke(q.number, false)
	return true
}

// isStored says whether err means that a parcel is stored, so long ago that its
// place is not remembered: it is what was sent before without an answer.
func (q *parcel) isStored(err error) bool {
	return q.numbered && q.unsure && errors.Is(err, codec.E(codec.DuplicateSequence))
}

// certain is err, as those are told who wait for a parcel. Whatever came later,
// one that was sent without an answer may be stored.
func (q *parcel) certain(err error) error {
	if err == nil || !q.unsure || codec.CodeOf(err) == codec.Unknown {
		return err
	}
	return codec.Errorf(codec.Unknown, "PRODUCE: no answer, and when it was sent again: %v", err)
}
