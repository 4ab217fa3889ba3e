package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// ConsumerOptions shape a Consumer; the zero value will do.
type ConsumerOptions struct {
	Partitions []codec.Partition // nil = all, those that are added later too
	// Positions are where partitions go on, as Positions told them once.
	Positions map[codec.Partition]codec.Offset
	From      Start // where partitions without one begin; the zero value is the oldest record
	// BufferBytes are read ahead, all partitions together, 32 MiB. Each may go
	// above its share by one batch.
	BufferBytes int
	OpenMax     int // bytes that a compressed batch may become, 64 MiB
	// SkipTrimmed goes on at the oldest record when those at the position were
	// trimmed away. Otherwise Poll returns a *Trimmed.
	SkipTrimmed bool
	// TellEnd makes Poll return no records, and Records.AtEnd, whenever it has
	// come to the end of a partition.
	TellEnd bool
	// OnDamaged is asked by Run about a batch that cannot be read; nil as its
	// answer goes on behind the batch. Without OnDamaged Run ends.
	OnDamaged func(*DamagedBatch) error
}

func (o ConsumerOptions) withDefaults() ConsumerOptions {
	if o.BufferBytes <= 0 {
		o.BufferBytes = 32 << 20
	}
	if o.OpenMax <= 0 {
		o.OpenMax = 64 << 20
	}
	return o
}

// Consumer reads partitions of a topic, each in its order, and goes on when a
// server is lost or another leads, without a gap and without giving a record
// twice. Its methods are for one goroutine at a time, but for Close.
type Consumer struct {
	client  *Client
	topic   codec.Topic
	options ConsumerOptions
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // wakes Poll
	records Records       // what Poll gave last

	mu      sync.Mutex
	cursors []*cursor
	ready   []*cursor // those with something for Poll, in order
}

// Consumer starts a consumer of a topic, which must exist. Where it begins is
// settled when it returns.
func (c *Client) Consumer(ctx context.Context, topic codec.Topic, o ConsumerOptions) (*Consumer, error) {
	t, err := c.topicMetadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	n := &Consumer{client: c, topic: topic, options: o.withDefaults(), wake: make(chan struct{}, 1)}
	n.records.consumer = n
	wanted := slices.Clone(o.Partitions)
	for i := range t.Partitions {
		if o.Partitions == nil {
			wanted = append(wanted, codec.Partition(i))
		}
	}
	for i, p := range wanted {
		if o.Partitions != nil && slices.Contains(wanted[:i], p) { // it would be read twice
			return nil, codec.Errorf(codec.InvalidArgument, "partition %d of %q is named twice", p, topic)
		}
		if p < 0 || int(p) >= len(t.Partitions) {
			return nil, codec.Errorf(codec.UnknownPartition, "partition %d of %q: it has %d", p, topic, len(t.Partitions))
		}
	}
	starts, err := n.starts(ctx, wanted)
	if err != nil {
		return nil, err
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for i, p := range wanted {
		n.add(p, starts[i])
	}
	for _, u := range n.cursors {
		n.running.Go(u.follow)
	}
	if o.Partitions == nil {
		n.running.Go(n.watchGrowth)
	}
	return n, nil
}

// starts are the offsets at which partitions begin.
func (n *Consumer) starts(ctx context.Context, all []codec.Partition) ([]codec.Offset, error) {
	offsets, errs := make([]codec.Offset, len(all)), make([]error, len(all))
	var asking sync.WaitGroup
	for i, p := range all {
		if at, ok := n.options.Positions[p]; ok {
			offsets[i] = at
			continue
		}
		asking.Go(func() {
			offsets[i], errs[i] = n.options.From.in(ctx, n.client, codec.TopicPartition{Topic: n.topic, Partition: p})
		})
	}
	asking.Wait()
	return offsets, errors.Join(errs...)
}

// add makes a cursor; who calls starts it.
func (n *Consumer) add(p codec.Partition, at codec.Offset) *cursor {
	u := &cursor{consumer: n, tp: codec.TopicPartition{Topic: n.topic, Partition: p}, at: at, next: at, kick: make(chan struct{}, 1), pause: pauses()}
	n.mu.Lock()
	n.cursors = append(n.cursors, u)
	n.mu.Unlock()
	return u
}

// watchGrowth adds partitions that the topic got, from their first record.
func (n *Consumer) watchGrowth() {
	tick := time.NewTicker(n.client.options.MetadataAge)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
		t, err := n.client.topicMetadata(n.ctx, n.topic)
		if err != nil {
			continue // cursors have their own troubles, and tell of them
		}
		n.mu.Lock()
		have := len(n.cursors)
		n.mu.Unlock()
		for i := have; i < len(t.Partitions); i++ {
			n.running.Go(n.add(codec.Partition(i), 0).follow)
		}
	}
}

// Close ends the consumer; a Poll that waits ends with an error.
func (n *Consumer) Close() {
	n.cancel()
	n.running.Wait()
}

// look wakes Poll.
func (n *Consumer) look() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}
