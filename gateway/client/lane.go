package client

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/troupe-mq/troupe/codec"
)

// lane is what a producer has of one partition: the batch that is being
// filled and those without an answer.
type lane struct {
	producer *Producer
	tp       codec.TopicPartition
	poor     atomic.Bool // mending, for who chooses a partition

	mu      sync.Mutex
	open    *parcel   // being filled; the last of parcels, or nil
	parcels []*parcel // all that were not told yet, in the order of making
	made    uint64
	aloft   int   // parcels that a link has
	route   *link // which one: another is taken when nothing is in flight
	pumping bool  // somebody sends
	hoping  bool  // a link calls when it has a slot
	dialing bool  // a goroutine connects

	mending bool // batches were refused for now, or nobody could be reached
	retryAt time.Time
	pause   backoff.ExponentialBackOff
	trouble error // why it mends

	volley  uint64 // counts the times that batches were told where to go
	pointed int    // how often in a row

	numbers numbering // of an idempotent producer

	failed   error  // the first, with StopAtError
	failedAt uint64 // that parcel
}

func newLane(p *Producer, n codec.Partition) *lane {
	return &lane{producer: p, tp: codec.TopicPartition{Topic: p.topic, Partition: n}, pause: pauses(), numbers: numbering{who: p.identity}}
}

// put adds a record to the open parcel.
func (l *lane) put(ctx context.Context, r *codec.Record, done Done) error {
	size := codec.RecordBytesMax(r.Key, r.Value, r.Headers)
	opened, err := l.lockWithRoom(ctx, size)
	if err != nil {
		return err
	}
	q := l.open
	q.add(r, done)
	due := q.due
	var out *parcel
	if q.builder.Size() >= l.producer.options.BatchBytes || l.producer.options.Linger < 0 && l.mayLeave() {
		out = l.seal()
	}
	l.mu.Unlock()
	if out != nil {
		l.ship(out)
	} else if opened {
		l.producer.expect(due)
	}
	return nil
}

// lockWithRoom returns with the lock held and an open parcel that has room
// for size bytes; whether it is a new one.
func (l *lane) lockWithRoom(ctx context.Context, size int) (opened bool, err error) {
	p, charge := l.producer, 0
	defer func() {
		if charge > 0 { // somebody else was faster, or it is too late
			p.room.give(charge)
		}
	}()
	for {
		l.mu.Lock()
		switch {
		case p.closed.Load():
			l.mu.Unlock()
			return false, p.errClosed()
		case l.open != nil && l.open.builder.Size()+size <= p.options.BatchBytes:
			return false, nil
		case l.open != nil:
			full := l.seal()
			l.mu.Unlock()
			l.ship(full)
			continue
		case charge > 0:
			l.open = l.newParcel(time.Now(), charge)
			l.parcels = append(l.parcels, l.open)
			charge = 0
			return true, nil
		}
		l.mu.Unlock()
		want := max(p.options.BatchBytes, codec.BatchHeaderBytes+size)
		if err := p.takeRoom(ctx, want); err != nil {
			return false, err
		}
		charge = want
	}
}

// seal ends the filling of the open parcel; who called ships it. Records that
// may go anywhere go on elsewhere.
func (l *lane) seal() *parcel {
	q := l.open
	l.open = nil
	q.stage = sealed
	l.producer.moveOn(l)
	return q
}

// ship builds a sealed parcel's batch and sends what may be sent.
func (l *lane) ship(q *parcel) {
	q.build(l.producer.options.Compression)
	l.mu.Lock()
	if q.stage == sealed {
		q.stage = waiting
	}
	l.mu.Unlock()
	l.pump()
}

// remove forgets a parcel of which all were told.
func (l *lane) remove(q *parcel) {
	if i := slices.Index(l.parcels, q); i >= 0 {
		l.parcels = slices.Delete(l.parcels, i, i+1)
	}
}

// mayLeave says whether one more batch could be sent now, were it ready. While
// the lane mends it could when its pause is over.
func (l *lane) mayLeave() bool {
	for _, q := range l.parcels {
		if q.stage == sealed || q.stage == waiting {
			return false // that one first
		}
	}
	return l.aloft < l.window()
}

// window is how many batches may be in flight.
func (l *lane) window() int {
	if l.mending {
		return 1
	}
	return l.producer.options.MaxInFlight
}
