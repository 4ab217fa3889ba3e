package client

import (
	"errors"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// pump sends what may be sent of a lane, in order, and does not wait: when
// nobody is connected, or no slot is free, it is called again. One pumps at
// a time, so that the order of parcels is that of requests.
func (l *lane) pump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pumping {
		return // and that one will see what there is to do
	}
	l.pumping = true
	defer l.rest()
	for {
		l.tellAll(l.renew(), errUnsure)
		q := l.next()
		if q == nil {
			return
		}
		if err := l.barred(q); err != nil {
			q.stage = told
			l.tellAll([]*parcel{q}, err)
			continue
		}
		if !l.launch(q) {
			return
		}
	}
}

// tellAll tells of parcels. It gives up the lock meanwhile.
func (l *lane) tellAll(all []*parcel, err error) {
	if len(all) == 0 {
		return
	}
	l.mu.Unlock()
	for _, q := range all {
		q.tell(0, err)
	}
	l.mu.Lock()
}

// rest ends the pumping. What lingered long enough while others were before it
// is nobody's now but the keeper's.
func (l *lane) rest() {
	l.pumping = false
	if l.open != nil && !l.open.due.After(time.Now()) && l.mayLeave() {
		l.producer.look()
	}
}

// next is the parcel that may leave now, if there is one: the first that is
// not in flight, when the window has room. While the lane mends there is one
// in flight at most, and only when its pause is over.
func (l *lane) next() *parcel {
	if l.aloft >= l.window() || l.hoping || l.dialing {
		return nil
	}
	for _, q := range l.parcels {
		switch q.stage {
		case waiting:
			if l.resting() || !l.numbers.admits(q) {
				return nil
			}
			return q
		case sealed, filling:
			return nil // in order
		}
	}
	return nil
}

// barred is why a parcel must not leave any more.
func (l *lane) barred(q *parcel) error {
	switch {
	case l.producer.ctx.Err() != nil:
		return errNotSent
	case q.failed != nil:
		return q.failed
	case l.failed != nil && q.number > l.failedAt:
		return codec.Errorf(codec.Unavailable, "not sent, for a batch before it failed: %v", l.failed)
	}
	return nil
}

// errNoAnswer is told to records in flight that Close gave up.
var errNoAnswer = codec.Errorf(codec.Unknown, "PRODUCE: no answer before the producer was closed")

// errNotSent is told to records that Close gave up before they left.
var errNotSent = codec.Errorf(codec.TimedOut, "the producer was closed before the batch was sent")

// launch gives a parcel to its link; false = not now, somebody will pump
// again: whoever lands, when others are still in flight on a link before this
// one. It gives up the lock meanwhile.
func (l *lane) launch(q *parcel) bool {
	link, err := l.producer.client.open(l.tp)
	if err == nil && link == nil {
		return !l.connect()
	}
	if l.aloft > 0 && link != l.route {
		return false // what comes behind must not overtake
	}
	l.route = link
	l.number(q)
	q.stage, q.volley = flying, l.volley
	q.holds.Add(1)
	l.aloft++
	l.hoping = true // a link may call before trySend is back
	l.mu.Unlock()
	if err == nil {
		q.sign()
		err = link.trySend(&q.request, q, l.hopeful)
	}
	l.mu.Lock()
	if err == nil {
		l.hoping = false
		return true
	}
	final := l.grounded(q, err)
	l.mu.Unlock()
	if final != nil {
		q.tell(0, final)
	}
	q.drop()
	l.mu.Lock()
	return !l.hoping // a link that called meanwhile found somebody who pumps
}

// grounded takes back a parcel that no link has taken. The error is what is
// final for it, if anything is.
func (l *lane) grounded(q *parcel, err error) (final error) {
	l.aloft--
	full := errors.Is(err, errFull)
	if !full {
		l.hoping = false
	}
	switch {
	case q.stage != flying: // told meanwhile
		return nil
	case full:
		q.stage = waiting
		return nil
	}
	return l.refused(q, err)
}

// hopeful is called by a link that had no slot and now may have one.
func (l *lane) hopeful() {
	l.mu.Lock()
	l.hoping = false
	l.mu.Unlock()
	l.pump()
}

// connect dials beside everything else; then the lane goes on. False when
// the client is closed.
func (l *lane) connect() bool {
	p := l.producer
	l.dialing = true
	ok := p.client.spawn(func() {
		_, err := p.client.leader(p.ctx, l.tp)
		if p.ctx.Err() != nil {
			err = errNotSent
		}
		l.mu.Lock()
		l.dialing = false
		given := l.unreachable(err)
		l.mu.Unlock()
		for _, q := range given {
			q.tell(0, err)
		}
		l.pump()
	})
	l.dialing = ok
	return ok
}

// answered implements waiter.
func (q *parcel) answered(a *answer, err error) {
	l := q.lane
	if err == nil {
		err = placed(a, &q.got)
	}
	err = l.producer.client.heed(l.tp, err, l.producer)
	l.mu.Lock()
	l.aloft--
	final := q.stage == flying
	if final && q.isStored(err) {
		q.got, err = codec.Produced{Base: NoOffset}, nil
	}
	switch {
	case !final: // told already
	case err == nil:
		q.stage = told
		l.wentWell()
	default:
		err = l.refused(q, err)
		final = err != nil
	}
	l.mu.Unlock()
	if final {
		q.tell(q.got.Base, err)
	}
	l.pump()
}
