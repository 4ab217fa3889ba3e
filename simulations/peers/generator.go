package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// generator sends batches to a driver until it is stopped, the same way for
// every system. In a closed loop each partition has InFlight batches without
// an answer; in an open loop each batch has a time at which it is due, and its
// latency counts from then, whether or not it could leave.
type generator struct {
	shape  shape
	driver driver
	ledger *ledger

	measuring atomic.Bool
	batches   atomic.Int64 // acknowledged while measuring
	stopped   chan struct{}
	once      sync.Once
	failed    error // why it stopped; nil when it was asked to
	lanes     []*lane
}

// lane is one partition's part.
type lane struct {
	gen       *generator
	partition int
	slots     chan *batchOf
	mu        sync.Mutex
	latency   *hdrhistogram.Histogram // microseconds
}

func newGenerator(s shape, d driver, l *ledger) *generator {
	g := &generator{shape: s, driver: d, ledger: l, stopped: make(chan struct{})}
	for p := range s.Partitions {
		l := &lane{gen: g, partition: p, slots: make(chan *batchOf, s.InFlight), latency: newHistogram()}
		for range s.InFlight {
			l.slots <- nil // made when it is needed
		}
		g.lanes = append(g.lanes, l)
	}
	return g
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// stop ends all lanes; the first reason stays.
func (g *generator) stop(err error) {
	g.once.Do(func() {
		g.failed = err
		close(g.stopped)
	})
}

// run sends from all partitions until stop or, when the shape names a number of
// records, until they are sent and answered.
func (g *generator) run(ctx context.Context) {
	var running sync.WaitGroup
	begun := time.Now()
	for _, l := range g.lanes {
		running.Go(func() { l.run(ctx, begun) })
	}
	running.Wait()
}

// latencies are those of all lanes so far.
func (g *generator) latencies() *hdrhistogram.Histogram {
	all := newHistogram()
	for _, l := range g.lanes {
		l.mu.Lock()
		all.Merge(l.latency)
		l.mu.Unlock()
	}
	return all
}

func (l *lane) run(ctx context.Context, begun time.Time) {
	g := l.gen
	every := time.Duration(0)
	if g.shape.Rate > 0 {
		every = time.Duration(float64(g.shape.Batch*g.shape.Partitions) / g.shape.Rate * float64(time.Second))
	}
	limit := uint64(ledgerBatches)
	if g.shape.Verb == "fill" {
		limit = uint64(g.shape.Records / g.shape.Partitions / g.shape.Batch)
		defer l.settle()
	}
	for number := uint64(0); ; number++ {
		if number == limit {
			if limit == ledgerBatches {
				g.stop(errors.New("the ledger is full: make the cell shorter"))
			}
			return
		}
		due := time.Time{}
		if every > 0 {
			// Partitions take turns within the interval.
			due = begun.Add(every*time.Duration(number) + every*time.Duration(l.partition)/time.Duration(g.shape.Partitions))
			time.Sleep(time.Until(due))
		}
		var b *batchOf
		select {
		case b = <-l.slots:
		case <-g.stopped:
			return
		}
		if every == 0 {
			due = time.Now()
		}
		if b == nil {
			b = newBatch(g.shape)
		}
		b.fill(l.partition, number)
		if err := g.driver.send(ctx, l.partition, b, func(err error) { l.answered(b, due, err) }); err != nil {
			g.stop(fmt.Errorf("send: %w", err))
			return
		}
	}
}

// settle waits for all answers.
func (l *lane) settle() {
	for range l.gen.shape.InFlight {
		select {
		case <-l.slots:
		case <-l.gen.stopped:
			return
		}
	}
}

func (l *lane) answered(b *batchOf, due time.Time, err error) {
	g := l.gen
	if err != nil {
		g.stop(fmt.Errorf("answer: %w", err))
		return
	}
	took := time.Since(due)
	g.ledger.acknowledge(l.partition, b.number)
	if g.measuring.Load() {
		g.batches.Add(1)
		l.mu.Lock()
		_ = l.latency.RecordValue(min(max(1, took.Microseconds()), 60_000_000))
		l.mu.Unlock()
	}
	l.slots <- b
}
