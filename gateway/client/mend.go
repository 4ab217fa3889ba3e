package client

import (
	"errors"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// refused decides what becomes of a parcel in flight that ended with err;
// true = err is final, and the caller tells so. Otherwise the parcel waits to
// be sent again in its old place, and the lane mends: whatever of it is in
// flight lands, the pause passes, and then one batch at a time is sent until
// all that were refused are stored.
func (l *lane) refused(q *parcel, err error) bool {
	o := &l.producer.options
	again := mayHelp(err) || o.MayStoreTwice && errors.Is(err, codec.E(codec.Unknown))
	if again && !o.NoRetry && l.producer.ctx.Err() == nil && time.Now().Before(q.deadline) {
		q.tries++
		q.stage = waiting
		l.mend(err)
		return false
	}
	l.fail(q, err)
	if l.mending && codec.CodeOf(err) != codec.Unknown {
		l.wentWell() // the server does answer
	}
	return true
}

// fail makes err final for a parcel; the caller tells.
func (l *lane) fail(q *parcel, err error) {
	q.stage = told
	if l.producer.options.StopAtError && l.failed == nil {
		l.failed, l.failedAt = err, q.number
	}
}

// mend begins a pause, unless one is on.
func (l *lane) mend(err error) {
	l.trouble = err
	if now := time.Now(); !l.mending || !now.Before(l.retryAt) {
		l.retryAt = now.Add(l.pause.NextBackOff())
	}
	l.mending = true
	l.poor.Store(true)
	l.producer.look()
}

// wentWell ends the mending when all that were refused are through.
func (l *lane) wentWell() {
	if !l.mending {
		return
	}
	l.pause.Reset()
	l.retryAt = time.Time{}
	for _, q := range l.parcels {
		if q.stage == waiting && q.tries > 0 {
			return
		}
	}
	l.mending, l.trouble = false, nil
	l.poor.Store(false)
}

// unreachable is the end of a search for a server; the parcels it returns are
// given up, and the caller tells so.
func (l *lane) unreachable(err error) (given []*parcel) {
	if err == nil {
		return nil
	}
	if mayHelp(err) && !l.producer.options.NoRetry {
		l.mend(err)
		return nil
	}
	for _, q := range l.parcels {
		if q.stage == waiting {
			l.fail(q, err)
			given = append(given, q)
		}
	}
	return given
}

// late is what a parcel is told whose time is over.
func (l *lane) late(q *parcel) error {
	within := l.producer.options.DeliverWithin
	var trouble *codec.Error
	switch {
	case q.stage == flying:
		return codec.Errorf(codec.Unknown, "PRODUCE: no answer within %v", within)
	case errors.As(l.trouble, &trouble):
		return codec.Errorf(trouble.Code, "given up after %v: %s", within, trouble.Message)
	}
	return codec.Errorf(codec.TimedOut, "not sent within %v", within)
}
