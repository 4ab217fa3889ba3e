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
		q := l.next()
		if q == nil {
			return
		}
		if err := l.barred(q); err != nil {
			q.stage = told
			l.mu.Unlock()
			q.tell(0, err)
			l.mu.Lock()
			continue
		}
		if !l.launch(q) {
			return
		}
	}
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
			if l.mending && !l.retryAt.IsZero() && time.Now().Before(l.retryAt) {
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
// again. It gives up the lock meanwhile.
func (l *lane) launch(q *parcel) bool {
	link, err := l.producer.client.open(l.tp)
	if err == nil && link == nil {
		return !l.connect()
	}
	q.stage = flying
	q.holds.Add(1)
	l.aloft++
	l.hoping = true // a link may call before trySend is back
	l.mu.Unlock()
	if err == nil {
		err = link.trySend(&q.request, q, l.hopeful)
	}
	l.mu.Lock()
	if err == nil {
		l.hoping = false
		return true
	}
	final := l.grounded(q, err)
	l.mu.Unlock()
	if final {
		q.tell(0, err)
	}
	q.drop()
	l.mu.Lock()
	return !l.hoping // a link that called meanwhile found somebody who pumps
}

// grounded takes back a parcel that no link has taken; whether err is final
// for it.
func (l *lane) grounded(q *parcel, err error) bool {
	l.aloft--
	full := errors.Is(err, errFull)
	if !full {
		l.hoping = false
	}
	switch {
	case q.stage != flying: // told meanwhile
		return false
	case full:
		q.stage = waiting
		return false
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
	switch {
	case !final: // told already
	case err == nil:
		q.stage = told
		l.wentWell()
	default:
		final = l.refused(q, err)
	}
	l.mu.Unlock()
	if final {
		q.tell(q.got.Base, err)
	}
	l.pump()
}
