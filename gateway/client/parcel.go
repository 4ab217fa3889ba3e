package client

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// stage is how far a parcel is.
type stage uint8

const (
	filling stage = iota // records are added
	sealed               // its batch is being built
	waiting              // to be sent, or sent again
	flying               // sent, without an answer
	told                 // those who wait are being told, or were
)

// parcel is a batch with those who wait for its answer. Its lane's lock
// guards it, but for what only the one who builds it or tells of it touches.
type parcel struct {
	lane     *lane
	number   uint64 // in the order of making, from 1
	stage    stage
	builder  codec.Builder
	request  codec.Produce // its batch shares the builder's memory
	got      codec.Produced
	failed   error     // why it could not be built
	due      time.Time // when lingering ends
	deadline time.Time // when it is given up
	tries    int       // answers that said to try again
	volley   uint64    // of its lane, when it left
	unsure   bool      // it left and was not answered: it may be stored
	charge   int       // bytes of the producer's budget
	done     []Done    // of the first records; nil where nobody asked
	holds    atomic.Int32

	// Of an idempotent producer.
	numbered bool // who and sequence are its own
	unsigned bool // they are yet to be written into the batch
	shared   bool // and not while somebody else may read it
	who      codec.ProducerIdentity
	sequence int32
}

// parcelMax is the memory above which a parcel is not used again.
const parcelMax = 1 << 20

var parcels = sync.Pool{New: func() any { return new(parcel) }}

// newParcel is the next one of l; it holds charge of the budget.
func (l *lane) newParcel(now time.Time, charge int) *parcel {
	o := &l.producer.options
	l.made++
	q := parcels.Get().(*parcel)
	q.lane, q.number, q.stage, q.charge = l, l.made, filling, charge
	q.due, q.deadline = now.Add(max(o.Linger, 0)), now.Add(o.DeliverWithin)
	q.holds.Store(1)
	q.builder.Reset()
	return q
}

// add copies a record into the batch.
func (q *parcel) add(r *codec.Record, done Done) {
	t := r.Timestamp
	if t == 0 || t == codec.NoTimestamp {
		t = codec.Millis(time.Now().UnixMilli())
	}
	q.builder.Append(t, r.Key, r.Value, r.Headers)
	if done == nil {
		return
	}
	for len(q.done) < q.builder.Count()-1 {
		q.done = append(q.done, nil)
	}
	q.done = append(q.done, done)
}

// build makes the batch, outside of any lock.
func (q *parcel) build(c codec.Compression) {
	make := q.builder.Build
	if q.lane.producer.idempotent {
		make = q.builder.BuildUnsigned
	}
	batch, err := make(c)
	q.request = codec.Produce{TopicPartition: q.lane.tp, Batch: batch}
	q.failed = err
}

// drop is called once by the lane, when all were told, and once by each link
// that the batch was given to. Then its memory is used again.
func (q *parcel) drop() {
	if q.holds.Add(-1) > 0 {
		return
	}
	p, charge := q.lane.producer, q.charge
	clear(q.done)
	if cap(q.request.Batch) > parcelMax || q.builder.Size() > parcelMax {
		q.builder = codec.Builder{}
	}
	q.lane, q.request, q.failed, q.tries, q.done = nil, codec.Produce{}, nil, 0, q.done[:0]
	q.numbered, q.unsigned, q.unsure = false, false, false
	parcels.Put(q)
	p.room.give(charge)
}

// left implements waiter.
func (q *parcel) left() { q.drop() }

// tell tells all who wait what became of the parcel, which is in stage told.
func (q *parcel) tell(base codec.Offset, err error) {
	err = q.certain(err)
	for i, done := range q.done {
		switch {
		case done == nil:
		case err != nil:
			done(q.lane.tp.Partition, 0, err)
		case base == NoOffset:
			done(q.lane.tp.Partition, NoOffset, nil)
		default:
			done(q.lane.tp.Partition, base+codec.Offset(i), nil)
		}
	}
	l := q.lane
	if err != nil {
		l.producer.note(err) // before a Flush can find that nothing is left
	}
	l.mu.Lock()
	l.remove(q)
	l.mu.Unlock()
	l.producer.ended()
	q.drop()
}
