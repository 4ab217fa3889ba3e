package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// ProducerOptions shape a Producer; the zero value will do.
type ProducerOptions struct {
	Compression codec.Compression
	Linger      time.Duration // how long a record waits for others, 5 ms; below 0 = only while MaxInFlight batches are
	BatchBytes  int           // a batch is sent when it has as many, 64 KiB
	BufferBytes int           // bytes of batches that are filled or without an answer, 32 MiB
	MaxInFlight int           // batches of a partition without an answer, 5; at most 5 unless NotIdempotent
	Partitioner Partitioner   // nil = ByKey

	// DeliverWithin is how long a record may take from Produce to its answer,
	// repetitions included, 2 min.
	DeliverWithin time.Duration
	// NoRetry: each batch is sent once, and does not say who sends it.
	NoRetry bool
	// NotIdempotent: batches do not say who sends them. One whose outcome is
	// UNKNOWN is then not sent again, and MaxInFlight may be above 5.
	NotIdempotent bool
	// MayStoreTwice: of a producer that is not idempotent, batches whose outcome
	// is UNKNOWN are sent again too. They are then stored at least once, and
	// perhaps twice.
	MayStoreTwice bool
	// StopAtError: once a batch failed, those behind it in its partition that
	// did not leave yet are refused. What is in flight then may still be stored.
	StopAtError bool
}

func (o ProducerOptions) withDefaults() ProducerOptions {
	if o.Linger == 0 {
		o.Linger = 5 * time.Millisecond
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 64 << 10
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = 32 << 20
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = inFlightIdempotent
	}
	if o.Partitioner == nil {
		o.Partitioner = ByKey
	}
	if o.DeliverWithin <= 0 {
		o.DeliverWithin = 2 * time.Minute
	}
	return o
}

// NoOffset is the place of a record that is stored, where it is not known where.
const NoOffset codec.Offset = -1

// Done is told what became of a record: its place, or an error. UNKNOWN means
// it may or may not be in the log. It must not wait.
type Done func(codec.Partition, codec.Offset, error)

// Producer gathers records of one topic into batches and sends them. It is
// safe for use by several goroutines.
//
// It is idempotent unless told otherwise: each batch says who sends it and which
// it is, so that one that was refused for now, or whose outcome is UNKNOWN, is
// sent again until DeliverWithin has passed, is stored once, and records of a
// partition are stored in the order of the calls of Produce.
//
// With NotIdempotent a batch whose outcome is UNKNOWN is not sent again, and with
// NoRetry no batch is. When a batch is refused, up to MaxInFlight-1 batches that
// were in flight behind it may be stored before it; with MaxInFlight 1 there are
// none. What is UNKNOWN may turn up behind later ones.
type Producer struct {
	client  *Client
	topic   codec.Topic
	options ProducerOptions
	// Of an idempotent producer; set before it begins.
	idempotent bool
	identity   codec.ProducerIdentity
	room       budget
	lanes      atomic.Pointer[[]*lane]
	count      atomic.Int32  // of partitions as metadata says; lanes are never fewer
	sticky     atomic.Int32  // where records go that may go anywhere
	wakeAt     atomic.Int64  // when the keeper wakes by itself, ns; 0 while it looks
	wake       chan struct{} // wakes it
	stop       chan struct{}
	kept       chan struct{}   // the keeper is gone
	gone       chan struct{}   // Close is through
	result     error           // of Close, when it is through
	ctx        context.Context // ends when records are given up
	cancel     context.CancelFunc
	closed     atomic.Bool
	growing    sync.Mutex

	waiting atomic.Int32 // those who wait for a change
	mu      sync.Mutex
	change  chan struct{} // closed and replaced when parcels were told
	first   error         // since the last Flush
	flushes map[*flushing]struct{}
}

// Producer starts a producer for a topic, which must exist.
func (c *Client) Producer(ctx context.Context, topic codec.Topic, o ProducerOptions) (*Producer, error) {
	t, err := c.topicMetadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	p := &Producer{
		client: c, topic: topic, options: o.withDefaults(), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		kept: make(chan struct{}), gone: make(chan struct{}), change: make(chan struct{}), flushes: map[*flushing]struct{}{},
	}
	if err := p.identify(ctx); err != nil {
		return nil, err
	}
	p.room.most = p.options.BufferBytes
	p.lanes.Store(&[]*lane{})
	p.grow(len(t.Partitions))
	p.sticky.Store(rand.Int32N(p.count.Load()))
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.keep()
	return p, nil
}

// grow makes lanes for n partitions. A topic that was made anew may have
// fewer: then the last lanes rest.
func (p *Producer) grow(n int) {
	p.growing.Lock()
	defer p.growing.Unlock()
	lanes := append([]*lane(nil), *p.lanes.Load()...)
	for i := len(lanes); i < n; i++ {
		lanes = append(lanes, newLane(p, codec.Partition(i)))
	}
	p.lanes.Store(&lanes)
	p.count.Store(int32(n))
}

// Partitions is the number of partitions that the producer knows of.
func (p *Producer) Partitions() int { return int(p.count.Load()) }

// Produce takes a record, whose partition the Partitioner chooses. It waits
// only while BufferBytes are without an answer. Key, value and headers are
// copied; the offset is not looked at; a timestamp of 0 or NoTimestamp is now.
// done may be nil: then Flush tells the first error.
func (p *Producer) Produce(ctx context.Context, r codec.Record, done Done) error {
	n := int(p.count.Load())
	at := p.options.Partitioner(r, n)
	if at == AnyPartition {
		at = codec.Partition(int(p.sticky.Load()) % n)
	}
	return p.ProduceTo(ctx, at, r, done)
}

// ProduceTo takes a record for a partition of the caller's choice.
func (p *Producer) ProduceTo(ctx context.Context, partition codec.Partition, r codec.Record, done Done) error {
	if n := p.Partitions(); partition < 0 || int(partition) >= n {
		return codec.Errorf(codec.UnknownPartition, "partition %d of %q: it has %d", partition, p.topic, n)
	}
	return (*p.lanes.Load())[partition].put(ctx, &r, done)
}

// takeRoom waits until there is room for a batch of n bytes. When there is
// none, whatever is there is sent.
func (p *Producer) takeRoom(ctx context.Context, n int) error {
	if p.room.try(n) {
		return nil
	}
	p.hurry()
	if err := p.room.take(ctx, p.stop, n); err != nil {
		if p.closed.Load() {
			return p.errClosed()
		}
		return fmt.Errorf("produce to %q: %d bytes wait for answers: %w", p.topic, p.room.bytes(), err)
	}
	return nil
}

// hurry ends the lingering of all that is there.
func (p *Producer) hurry() {
	for _, l := range *p.lanes.Load() {
		l.mu.Lock()
		if l.open != nil {
			l.open.due = time.Time{}
		}
		l.mu.Unlock()
	}
	p.look()
}

// moveOn chooses another partition for records that may go anywhere, when
// they went to l: the next that does not refuse batches for now.
func (p *Producer) moveOn(l *lane) {
	at := p.sticky.Load()
	if at != int32(l.tp.Partition) {
		return
	}
	n, lanes := p.count.Load(), *p.lanes.Load()
	for i := range n {
		next := (at + 1 + i) % n
		if !lanes[next].poor.Load() || i == n-1 {
			p.sticky.CompareAndSwap(at, next)
			return
		}
	}
}

func (p *Producer) errClosed() error {
	return codec.Errorf(codec.InvalidArgument, "the producer for %q is closed", p.topic)
}
