package gateway

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBroker keeps topics in memory.
type fakeBroker struct {
	mu     sync.Mutex
	topics map[codec.Topic][]*fakePartition

	producers atomic.Int64
}

func newFakeBroker(topic codec.Topic, partitions int) *fakeBroker {
	b := &fakeBroker{topics: map[codec.Topic][]*fakePartition{}}
	b.create(topic, partitions)
	return b
}

func (b *fakeBroker) create(topic codec.Topic, n int) {
	for range n {
		b.topics[topic] = append(b.topics[topic], &fakePartition{max: 1 << 20})
	}
}

func (b *fakeBroker) at(topic codec.Topic, p int) *fakePartition {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.topics[topic][p]
}

func (b *fakeBroker) Identity() Identity {
	return Identity{Cluster: codec.UUID{1}, Node: "n1", Version: "test"}
}

func (b *fakeBroker) Partition(tp codec.TopicPartition) (Partition, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, ok := b.topics[tp.Topic]
	if !ok {
		return nil, codec.Errorf(codec.UnknownTopic, "topic %q does not exist", tp.Topic)
	}
	if int(tp.Partition) >= len(all) {
		return nil, codec.Errorf(codec.UnknownPartition, "partition %d of %q: it has %d", tp.Partition, tp.Topic, len(all))
	}
	return all[tp.Partition], nil
}

func (b *fakeBroker) Nodes() []codec.MetadataNode { return nil }

func (b *fakeBroker) Topic(name codec.Topic) (codec.TopicDescription, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, ok := b.topics[name]
	if !ok {
		return codec.TopicDescription{}, codec.Errorf(codec.UnknownTopic, "topic %q does not exist", name)
	}
	d := codec.TopicDescription{Topic: name}
	for i, p := range all {
		start, high, _ := p.Bounds()
		d.Partitions = append(d.Partitions, codec.PartitionDescription{Partition: codec.Partition(i), Leader: "n1", Start: start, HighWatermark: high})
	}
	return d, nil
}

func (b *fakeBroker) Topics() []codec.TopicDescription {
	b.mu.Lock()
	names := make([]codec.Topic, 0, len(b.topics))
	for name := range b.topics {
		names = append(names, name)
	}
	b.mu.Unlock()
	slices.Sort(names)
	var out []codec.TopicDescription
	for _, name := range names {
		d, _ := b.Topic(name)
		out = append(out, d)
	}
	return out
}

func (b *fakeBroker) CreateTopic(req codec.CreateTopic, reply func(codec.TopicDescription, error)) {
	if req.Partitions > 1000 {
		reply(codec.TopicDescription{}, codec.Errorf(codec.InvalidArgument, "%d partitions: at most 1000 are allowed", req.Partitions))
		return
	}
	b.mu.Lock()
	if _, ok := b.topics[req.Topic]; ok {
		b.mu.Unlock()
		reply(codec.TopicDescription{}, codec.Errorf(codec.TopicExists, "topic %q exists", req.Topic))
		return
	}
	b.create(req.Topic, max(1, int(req.Partitions)))
	b.mu.Unlock()
	reply(b.Topic(req.Topic))
}

func (b *fakeBroker) AlterTopic(req codec.AlterTopic, reply func(codec.TopicDescription, error)) {
	reply(b.Topic(req.Topic))
}

func (b *fakeBroker) DeleteTopic(req codec.DeleteTopic, reply func(error)) {
	b.mu.Lock()
	delete(b.topics, req.Topic)
	b.mu.Unlock()
	reply(nil)
}

func (b *fakeBroker) NewProducer(reply func(int64, error)) { reply(b.producers.Add(1)-1, nil) }

func (b *fakeBroker) ChangeReplicas(tp codec.TopicPartition, _ []codec.NodeID, reply func(error)) {
	_, err := b.Partition(tp)
	reply(err)
}

func (b *fakeBroker) Transfer(tp codec.TopicPartition, _ codec.NodeID) error {
	_, err := b.Partition(tp)
	return err
}

func (b *fakeBroker) Trim(tp codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error)) {
	to, err := b.Partition(tp)
	if err != nil {
		reply(0, err)
		return
	}
	p := to.(*fakePartition)
	p.mu.Lock()
	p.start = before
	p.mu.Unlock()
	reply(before, nil)
}

// fakePartition is a log in memory. With hold set, produces wait for let.
type fakePartition struct {
	ill     error // why nothing can be read
	mu      sync.Mutex
	max     int
	start   codec.Offset
	batches []codec.Batch
	waiters map[*fakeWaiter]struct{}
	hold    bool
	held    []func(err error)
	credit  chan struct{} // when not nil, Produce takes one
}

type fakeWaiter struct {
	offset codec.Offset
	fire   func()
}

func (p *fakePartition) high() codec.Offset {
	if len(p.batches) == 0 {
		return 0
	}
	last := p.batches[len(p.batches)-1]
	return last.BaseOffset() + codec.Offset(last.Count())
}

func (p *fakePartition) MaxMessageBytes() int { return p.max }

func (p *fakePartition) Bounds() (start, highWatermark codec.Offset, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start, p.high(), p.ill
}

func (p *fakePartition) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	if p.credit != nil {
		select {
		case p.credit <- struct{}{}:
		case <-ctx.Done():
			return codec.Errorf(codec.Overloaded, "no credit: %v", ctx.Err())
		}
	}
	finish := func(err error) {
		if err != nil {
			reply(codec.Produced{}, err)
			return
		}
		base := p.store(b)
		reply(codec.Produced{Base: base, AppendTime: 77}, nil)
	}
	p.mu.Lock()
	if p.hold {
		p.held = append(p.held, finish)
		p.mu.Unlock()
		return nil
	}
	p.mu.Unlock()
	finish(nil)
	return nil
}

func (p *fakePartition) store(b codec.Batch) codec.Offset {
	p.mu.Lock()
	base := p.high()
	own := slices.Clone(b)
	own.Stamp(base, 1)
	p.batches = append(p.batches, own)
	var fire []func()
	for w := range p.waiters {
		if p.high() > w.offset {
			fire = append(fire, w.fire)
		}
	}
	p.mu.Unlock()
	for _, f := range fire {
		f()
	}
	return base
}

// let answers what was held, the last first.
func (p *fakePartition) let(err error) {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.mu.Unlock()
	for _, f := range slices.Backward(held) {
		f(err)
	}
}

func (p *fakePartition) heldNow() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

func (p *fakePartition) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if offset < p.start || offset > p.high() {
		return nil, codec.Errorf(codec.OffsetOutOfRange, "offset %d: the log holds [%d, %d)", offset, p.start, p.high())
	}
	first := true
	for _, b := range p.batches {
		if b.BaseOffset()+codec.Offset(b.Count()) <= offset {
			continue
		}
		if !first && len(dst)+len(b) > maxBytes {
			break
		}
		dst, first = append(dst, b...), false
	}
	return dst, nil
}

func (p *fakePartition) Await(offset codec.Offset, wait time.Duration, done func()) func() {
	p.mu.Lock()
	if p.high() > offset {
		p.mu.Unlock()
		done()
		return func() {}
	}
	w := &fakeWaiter{offset: offset}
	forget := func() {
		p.mu.Lock()
		delete(p.waiters, w)
		p.mu.Unlock()
	}
	var once sync.Once
	w.fire = func() { once.Do(func() { forget(); done() }) }
	if p.waiters == nil {
		p.waiters = map[*fakeWaiter]struct{}{}
	}
	p.waiters[w] = struct{}{}
	p.mu.Unlock()
	timer := time.AfterFunc(wait, w.fire)
	return func() { timer.Stop(); forget() }
}

// wakeAll ends every wait, as a partition does that is in trouble.
func (p *fakePartition) wakeAll() {
	p.mu.Lock()
	var fire []func()
	for w := range p.waiters {
		fire = append(fire, w.fire)
	}
	p.mu.Unlock()
	for _, f := range fire {
		f()
	}
}

func (p *fakePartition) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiters)
}

func (p *fakePartition) OffsetForTime(t codec.Millis) (codec.Offset, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.batches {
		rs := b.Records(b[codec.BatchHeaderBytes:])
		for rs.Next() {
			if rs.Record().Timestamp >= t {
				return rs.Record().Offset, true, nil
			}
		}
	}
	return 0, false, nil
}
