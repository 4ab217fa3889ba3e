package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// stopwatch knows when each change was sent.
type stopwatch struct {
	begun time.Time
	sent  []atomic.Int64
}

func newStopwatch(changes int) *stopwatch {
	return &stopwatch{time.Now(), make([]atomic.Int64, changes)}
}

func (w *stopwatch) start(change int) { w.sent[change].Store(int64(time.Since(w.begun))) }

func (w *stopwatch) since(change int) time.Duration {
	return time.Since(w.begun) - time.Duration(w.sent[change].Load())
}

// publish is the first system, a Go program with the broker inside. It sends
// small batches to handles of partitions, a few of them without an answer.
func (p *play) publish(ctx context.Context, watch *stopwatch) error {
	const (
		together = 32 // changes in a round
		inFlight = 4 * demoPartitions
	)
	slots := make(chan struct{}, inFlight)
	begun := time.Now()
	var answers sync.WaitGroup
	var acknowledged atomic.Int64
	var failed atomic.Pointer[error]
	for round := range slices.Chunk(p.story.changes, together) {
		builders := make([]codec.Builder, demoPartitions) // a partition owns a batch's memory
		for i := range round {
			c := &round[i]
			watch.start(c.Number)
			builders[partitionOf(c.Booking)].Append(c.at, []byte(c.Booking), c.encode(), nil)
		}
		for n := range builders {
			if builders[n].Count() == 0 {
				continue
			}
			slots <- struct{}{}
			answers.Add(1)
			err := p.send(ctx, codec.Partition(n), &builders[n], func(count int, err error) {
				defer answers.Done()
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				acknowledged.Add(int64(count))
				<-slots
			})
			if err != nil {
				answers.Done()
				answers.Wait()
				return err
			}
		}
	}
	answers.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	if n := acknowledged.Load(); n != int64(len(p.story.changes)) {
		return fmt.Errorf("%d of %d changes were acknowledged", n, len(p.story.changes))
	}
	p.tell("reservations", "published %s in %v, each acknowledged when it was on the disk", count(acknowledged.Load(), "change"), roundly(time.Since(begun)))
	return nil
}

// send gives a batch to a partition; done gets how many records of it are
// stored.
func (p *play) send(ctx context.Context, n codec.Partition, b *codec.Builder, done func(int, error)) error {
	batch, err := b.Build(codec.NoCompression)
	if err != nil {
		return err
	}
	h, err := p.broker.Partition(codec.TopicPartition{Topic: demoTopic, Partition: n})
	if err != nil {
		return err
	}
	return h.Produce(ctx, batch, func(_ codec.Produced, err error) {
		if err != nil {
			done(0, err)
			return
		}
		done(int(batch.Count()), nil)
	})
}

// copyTable is the second system: it follows all partitions, each by itself,
// and keeps a table of its own.
func (p *play) copyTable(ctx context.Context) (table, error) {
	ends := p.story.ends()
	parts := make([]table, len(ends))
	errs := make(chan error, len(ends))
	for n, end := range ends {
		h, err := p.broker.Partition(codec.TopicPartition{Topic: demoTopic, Partition: codec.Partition(n)})
		if err != nil {
			return nil, err
		}
		parts[n] = table{}
		go func() {
			errs <- follow(ctx, h, 0, end, func(r *codec.Record) error {
				c, err := decodeChange(r)
				parts[n][c.Booking] = c
				return err
			})
		}()
	}
	var failed error
	for range ends {
		if err := <-errs; err != nil {
			failed = fmt.Errorf("copy the table: %w", err)
		}
	}
	all := table{}
	for _, part := range parts {
		for booking, c := range part {
			all[booking] = c
		}
	}
	return all, failed
}

// alerted is what the third system heard of.
type alerted struct {
	cancelled []change
	delays    []time.Duration // from the moment a change was sent
}

// alert is the third system, in another process as far as it knows: it comes
// over TCP, reads live and looks for cancellations.
func (p *play) alert(ctx context.Context, watch *stopwatch) (a alerted, err error) {
	c, err := client.Dial(ctx, []string{p.address}, client.Options{Name: "alerts"})
	if err != nil {
		return a, err
	}
	defer c.Close()
	var spans []client.Span
	for n, end := range p.story.ends() {
		spans = append(spans, client.Span{Partition: codec.Partition(n), From: 0, Limit: end})
	}
	r := c.Read(demoTopic, spans, client.ReadOptions{})
	defer r.Close()
	for {
		_, record, err := r.Next(ctx)
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return a, fmt.Errorf("send alerts: %w", err)
		}
		change, err := decodeChange(record)
		if err != nil {
			return a, err
		}
		if change.What == "cancelled" && change.Number < len(watch.sent) {
			a.cancelled = append(a.cancelled, change)
			a.delays = append(a.delays, watch.since(change.Number))
		}
	}
}

// half is the delay that half of all do not exceed.
func (a alerted) half() time.Duration {
	if len(a.delays) == 0 {
		return 0
	}
	slices.Sort(a.delays)
	return a.delays[(len(a.delays)-1)/2]
}

func (p *play) tellAlerts(a alerted) {
	p.tell("alerts", "heard over TCP of %s, half of them within %v of being sent; the last:",
		count(int64(len(a.cancelled)), "cancellation"), roundly(a.half()))
	slices.SortFunc(a.cancelled, func(a, b change) int { return a.Number - b.Number })
	for _, c := range a.cancelled[max(0, len(a.cancelled)-2):] {
		p.tell("", "    %s  %s  %s %s to %s, %d.%02d EUR", clock(c.at), c.Booking, c.Flight, c.From, c.To, c.Fare/100, c.Fare%100)
	}
}
