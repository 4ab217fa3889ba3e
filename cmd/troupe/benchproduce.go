package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
)

func newBenchProduce(s streams) *cobra.Command {
	v := &bench{s: s, what: "produce"}
	c := &cobra.Command{
		Use: "produce", Short: "Send ready batches and measure their answers", Args: cobra.NoArgs,
		Long: `Send ready batches and measure how long their answers take. The loop is closed:
each partition has --in-flight batches under way, and the next leaves when an
answer comes. With --rate it is open: batches leave on a schedule, and latency
counts from when a batch was due, so that a slow answer is not hidden by what
it held up (no coordinated omission). Batches are numbered as those of an
idempotent producer, unless more than 5 of a partition are to be in flight.`,
		Example: `  troupe bench produce --duration 10s -o json
  troupe bench produce --rate 50MB/s --partitions 6 --in-flight 64
  troupe bench produce --batch-bytes 1200 --in-flight 64 --durability os`,
		RunE: func(c *cobra.Command, _ []string) error { return v.run(c, v.produce) },
	}
	f := c.Flags()
	f.IntVar(&v.batchBytes, "batch-bytes", 64<<10, "bytes of a batch before compression, at most")
	f.IntVar(&v.inFlight, "in-flight", numberedMax, "batches of a partition without an answer; those that are due behind them wait")
	f.BoolVar(&v.idempotent, "idempotent", true, "number the batches; not above 5 --in-flight")
	f.DurationVar(&v.duration, "duration", 10*time.Second, "how long to send, unless --records ends it first")
	f.StringVar(&v.rateText, "rate", "", "open loop: records a second, or MB/s, over all partitions")
	v.flags(c, "how many to send (default: until --duration is over)")
	return c
}

// load is a produce bench at work.
type load struct {
	*bench
	meter *meter
	whole codec.Batch             // sent over and over
	last  codec.Batch             // ends --records; nil when whole ones do
	who   *codec.ProducerIdentity // nil when batches are not numbered
	left  atomic.Int64
	begun time.Time
	end   time.Time
}

// produce sends to all partitions until the end, and waits for all answers.
func (v *bench) produce(ctx context.Context) (*meter, error) {
	l := &load{bench: v, meter: newMeter(true)}
	if err := l.plan(); err != nil {
		return nil, err
	}
	if v.idempotent && v.inFlight <= numberedMax {
		who, err := v.clients[0].NewProducerIdentity(ctx)
		if err != nil {
			return nil, err
		}
		l.who = &who
	}
	before, known := v.fsyncs()
	patience, done := outlive(ctx, partWithin)
	defer done()
	for _, cl := range v.clients {
		defer context.AfterFunc(patience, cl.Close)()
	}
	l.begun = time.Now()
	l.end = l.begun.Add(v.duration)
	unwatch := v.s.watch(l.effort())
	var parts sync.WaitGroup
	for p := range codec.Partition(v.partitions) {
		parts.Go(func() { l.partition(ctx, p) })
	}
	parts.Wait()
	l.meter.took = time.Since(l.begun)
	unwatch()
	l.meter.bytesPerFsync = v.perFsync(before, known)
	return l.meter, nil
}

// plan makes the batches, and shares --records out to them.
func (l *load) plan() (err error) {
	if l.whole, err = l.batch(l.records); err != nil {
		return err
	}
	l.left.Store(1 << 62)
	if l.records > 0 {
		n := int64(l.whole.Count())
		l.left.Store(l.records / n)
		if rest := l.records % n; rest > 0 {
			l.left.Add(1)
			l.last, err = l.batch(rest)
		}
	}
	return err
}

// next is the next batch to send; nil when there are no more.
func (l *load) next() codec.Batch {
	switch left := l.left.Add(-1); {
	case left < 0:
		return nil
	case left == 0 && l.last != nil:
		return l.last
	}
	return l.whole
}

// partition sends to one partition.
func (l *load) partition(ctx context.Context, p codec.Partition) {
	slots := make(chan struct{}, l.inFlight)
	numbers := numbers{who: l.who, copies: make([]codec.Batch, l.inFlight)}
	for i := int64(0); ctx.Err() == nil && !l.meter.failed(); i++ {
		due, ok := l.due(ctx, p, i)
		if !ok {
			break
		}
		slots <- struct{}{} // with a rate, what waits here is late and counts as that
		if !l.rate.open() {
			due = time.Now()
		}
		b := l.next()
		if b == nil || due.After(l.end) {
			<-slots
			break
		}
		l.send(ctx, p, numbers.write(b), due, slots)
	}
	for range l.inFlight { // until all are answered
		slots <- struct{}{}
	}
}

// due is when batch i of partition p is to leave; with a rate it waits until
// then. Partitions take turns.
func (l *load) due(ctx context.Context, p codec.Partition, i int64) (time.Time, bool) {
	if !l.rate.open() {
		return time.Time{}, true
	}
	n := i*int64(l.partitions) + int64(p)
	at := l.begun.Add(time.Duration(float64(n) * float64(l.rate.every(l.whole.Count(), len(l.whole)))))
	return at, !at.After(l.end) && until(ctx, at)
}

func (l *load) send(ctx context.Context, p codec.Partition, b codec.Batch, due time.Time, slots chan struct{}) {
	tp := codec.TopicPartition{Topic: codec.Topic(l.topic), Partition: p}
	done := func(_ codec.Produced, err error) {
		l.meter.answered(time.Since(due), int64(b.Count()), int64(len(b)), err)
		<-slots
	}
	if err := l.of(p).ProduceBatch(ctx, tp, b, done); err != nil {
		if ctx.Err() == nil {
			l.meter.fail(err)
		}
		<-slots
	}
}

// effort is how far it is: in records when their number is known, else in
// time.
func (l *load) effort() effort {
	if l.records > 0 {
		return effort{total: l.records, done: l.meter.records.Load, says: l.meter.says}
	}
	return effort{total: l.duration.Milliseconds(), done: func() int64 { return time.Since(l.begun).Milliseconds() }, says: l.meter.says}
}
