package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// ProducerOptions shape a Producer; the zero value will do.
type ProducerOptions struct {
	Compression codec.Compression
	Linger      time.Duration // how long a record waits for others, 5 ms; below 0 = not at all
	BatchBytes  int           // a batch is sent when it has as many, 64 KiB
	BufferBytes int           // bytes of records without an answer, 32 MiB
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
	return o
}

// Done is told what became of a record: its place, or an error. UNKNOWN means
// it may or may not be in the log. It must not wait.
type Done func(codec.Partition, codec.Offset, error)

// Producer gathers records of one topic into batches and sends them. Records
// with a key go where Kafka's default partitioner sends them; those without
// stay with one partition for a batch. Each batch is sent once: what to do
// about an error is the caller's to decide, for only the caller knows whether
// a record may be stored twice. It is safe for use by several goroutines.
type Producer struct {
	client  *Client
	topic   codec.Topic
	options ProducerOptions
	wake    chan struct{} // wakes the sender
	stop    chan struct{}
	ended   chan struct{} // the sender is gone
	gone    chan struct{} // Close is through
	result  error         // of Close, when it is through
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	lanes  []*lane
	sticky int
	sealed []*parcel     // in order, to be sent
	bytes  int           // of records without an answer
	change chan struct{} // closed and replaced when an answer came
	open   map[*parcel]struct{}
	made   uint64 // parcels so far
	first  error  // since the last Flush
	closed bool
}

// lane is the batch that is being filled for a partition.
type lane struct {
	partition codec.Partition
	parcel    *parcel
	failed    error // the first, with StopAtError
}

// parcel is a batch with those who wait for its answer. It is open until all
// of them were told.
type parcel struct {
	number    uint64 // in the order of making
	partition codec.Partition
	builder   *codec.Builder
	due       time.Time
	bytes     int
	records   int
	done      []Done // one a record; empty when nobody asked
	told      bool   // or being told
}

var builders = sync.Pool{New: func() any { return new(codec.Builder) }}

// Producer starts a producer for a topic, which must exist.
func (c *Client) Producer(ctx context.Context, topic codec.Topic, o ProducerOptions) (*Producer, error) {
	m, err := c.Metadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(m.Topics) != 1 || m.Topics[0].Code != codec.OK || len(m.Topics[0].Partitions) == 0 {
		code := codec.UnknownTopic
		if len(m.Topics) == 1 && m.Topics[0].Code != codec.OK {
			code = m.Topics[0].Code
		}
		return nil, codec.Errorf(code, "topic %q: no partitions to produce to", topic)
	}
	p := &Producer{
		client: c, topic: topic, options: o.withDefaults(), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		ended: make(chan struct{}), gone: make(chan struct{}), change: make(chan struct{}), open: map[*parcel]struct{}{}, sticky: rand.IntN(len(m.Topics[0].Partitions)),
	}
	for i := range m.Topics[0].Partitions {
		p.lanes = append(p.lanes, &lane{partition: codec.Partition(i)})
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.send()
	return p, nil
}

// Partitions is the number of partitions that the producer knows of.
func (p *Producer) Partitions() int { return len(p.lanes) }

// Produce takes a record whose key chooses its partition. It waits only while
// BufferBytes are without an answer. Key, value and headers are copied; the
// offset is not looked at; a timestamp of 0 or NoTimestamp is now. done may
// be nil: then Flush tells the first error.
func (p *Producer) Produce(ctx context.Context, r codec.Record, done Done) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.takeRoom(ctx, &r); err != nil {
		return err
	}
	at := p.sticky
	if r.Key != nil {
		at = int(codec.PartitionFor(r.Key, len(p.lanes)))
	}
	p.add(p.lanes[at], &r, done)
	return nil
}

// ProduceTo takes a record for a partition of the caller's choice.
func (p *Producer) ProduceTo(ctx context.Context, partition codec.Partition, r codec.Record, done Done) error {
	if partition < 0 || int(partition) >= len(p.lanes) {
		return codec.Errorf(codec.UnknownPartition, "partition %d of %q: it has %d", partition, p.topic, len(p.lanes))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.takeRoom(ctx, &r); err != nil {
		return err
	}
	p.add(p.lanes[partition], &r, done)
	return nil
}

// takeRoom waits until there is room for r. A record larger than all of
// the room may pass alone.
func (p *Producer) takeRoom(ctx context.Context, r *codec.Record) error {
	size := codec.RecordBytesMax(r.Key, r.Value, r.Headers)
	for !p.closed && p.bytes > 0 && p.bytes+size > p.options.BufferBytes {
		p.sealAll()
		if err := p.waitForChange(ctx); err != nil {
			return fmt.Errorf("produce to %q: %d bytes wait for answers: %w", p.topic, p.bytes, err)
		}
	}
	if p.closed {
		return codec.Errorf(codec.InvalidArgument, "the producer for %q is closed", p.topic)
	}
	p.bytes += size
	return nil
}

// waitForChange gives up the lock until an answer came.
func (p *Producer) waitForChange(ctx context.Context) error {
	change := p.change
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-change:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Producer) add(l *lane, r *codec.Record, done Done) {
	size := codec.RecordBytesMax(r.Key, r.Value, r.Headers)
	if l.parcel != nil && l.parcel.builder.Size()+size > p.options.BatchBytes {
		p.seal(l)
	}
	if l.parcel == nil {
		l.parcel = p.newParcel(l.partition)
	}
	if r.Timestamp == 0 || r.Timestamp == codec.NoTimestamp {
		r.Timestamp = codec.Millis(time.Now().UnixMilli())
	}
	q := l.parcel
	q.builder.Append(r.Timestamp, r.Key, r.Value, r.Headers)
	q.bytes += size
	q.records++
	if done != nil {
		for len(q.done) < q.builder.Count()-1 {
			q.done = append(q.done, nil)
		}
		q.done = append(q.done, done)
	}
	if q.builder.Size() >= p.options.BatchBytes {
		p.seal(l)
	}
}

func (p *Producer) newParcel(to codec.Partition) *parcel {
	p.made++
	q := &parcel{number: p.made, partition: to, builder: builders.Get().(*codec.Builder), due: time.Now().Add(p.options.Linger)}
	q.builder.Reset()
	p.open[q] = struct{}{}
	p.nudge()
	return q
}

// seal queues a lane's batch; keyless records go on elsewhere.
func (p *Producer) seal(l *lane) {
	p.sealed = append(p.sealed, l.parcel)
	l.parcel = nil
	if p.sticky == int(l.partition) {
		p.sticky = (p.sticky + 1) % len(p.lanes)
	}
	p.nudge()
}

func (p *Producer) sealAll() {
	for _, l := range p.lanes {
		if l.parcel != nil {
			p.seal(l)
		}
	}
}

func (p *Producer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
