package client

import (
	"errors"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// refused decides what becomes of a parcel in flight that ended with err. What
// it returns is final, and the caller tells so. When it is nil the parcel waits
// to be sent again in its old place, and the lane mends: whatever of it is in
// flight lands, the pause passes, and then one batch at a time is sent until
// all that were refused are stored.
func (l *lane) refused(q *parcel, err error) (final error) {
	again := l.again(q, err)
	switch {
	case again && l.producer.ctx.Err() == nil && time.Now().Before(q.deadline):
		q.tries++
		q.stage = waiting
		if !l.pointsTo(q, err) {
			l.mend(err)
		}
		return nil
	case again && codec.CodeOf(err) == codec.SequenceGap: // what is before it did not come through in time
		q.stage = waiting
		err = l.late(q)
	}
	l.fail(q, err)
	if l.mending && codec.CodeOf(err) != codec.Unknown {
		l.wentWell() // the server does answer
	}
	return err
}

// fail makes err final for a parcel; the caller tells.
func (l *lane) fail(q *parcel, err error) {
	q.stage = told
	if q.numbered {
		l.numbers.broke(q.number, q.unsure || codec.CodeOf(err) == codec.Unknown)
	}
	if l.producer.options.StopAtError && l.failed == nil {
		l.failed, l.failedAt = err, q.number
	}
}

// mend begins a pause, unless one is on.
func (l *lane) mend(err error) {
	if l.trouble == nil || codec.CodeOf(err) != codec.SequenceGap { // which only follows from another
		l.trouble = err
	}
	if now := time.Now(); !l.mending || !now.Before(l.retryAt) {
		l.retryAt = now.Add(l.pause.NextBackOff())
	}
	l.mending = true
	l.poor.Store(true)
	l.producer.look()
}

// pointedMax is how often in a row a batch goes where it was told to at once. Brokers
// that do not agree on who leads may send it back and forth.
const pointedMax = 3

// pointsTo begins to mend without a pause: an answer says who leads, and that is where
// batches go next. Whatever left before it is no news.
func (l *lane) pointsTo(q *parcel, err error) bool {
	var e *codec.Error
	points := errors.As(err, &e) && e.Code == codec.NotLeader && e.Leader != ""
	switch {
	case l.mending && q.volley < l.volley:
	case points && l.pointed < pointedMax:
		l.pointed++
		l.volley++
		l.retryAt = time.Time{}
	default:
		return false
	}
	if l.trouble == nil {
		l.trouble = err
	}
	l.mending = true
	l.poor.Store(true)
	return true
}

// resting says whether a pause is on.
func (l *lane) resting() bool {
	return l.mending && !l.retryAt.IsZero() && time.Now().Before(l.retryAt)
}

// wentWell ends the mending when all that were refused are through.
func (l *lane) wentWell() {
	if !l.mending {
		return
	}
	l.pause.Reset()
	l.retryAt, l.pointed = time.Time{}, 0
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
