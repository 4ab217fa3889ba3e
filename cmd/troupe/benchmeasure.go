package main

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// meter collects answers. Several goroutines may tell it.
type meter struct {
	mu        sync.Mutex
	answers   int64
	errors    int64
	first     error
	latencies latencies
}

func (m *meter) answered(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.errors++
		if m.first == nil {
			m.first = err
		}
		return
	}
	m.answers++
	m.latencies.add(took)
}

func (m *meter) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first != nil
}

// measure sends batches until the time is over or one fails, and waits for
// all answers.
func (v *benchProduce) measure(ctx context.Context, cl *client.Client, batch codec.Batch) (benched, error) {
	var m meter
	slots := make(chan struct{}, v.inFlight)
	patience, done := outlive(ctx, partWithin)
	defer done()
	defer context.AfterFunc(patience, cl.Close)()
	begun := time.Now()
	end := begun.Add(time.Duration(v.seconds * float64(time.Second)))
	for i := 0; ctx.Err() == nil && !m.failed(); i++ {
		due := v.due(ctx, begun, i, batch.Count())
		if due.After(end) {
			break
		}
		slots <- struct{}{}
		if v.rate == 0 {
			due = time.Now() // not before there was a slot
		}
		tp := codec.TopicPartition{Topic: codec.Topic(v.topic), Partition: codec.Partition(i % int(v.partitions))}
		err := cl.ProduceBatch(ctx, tp, batch, func(_ codec.Produced, err error) {
			m.answered(time.Since(due), err)
			<-slots
		})
		if err != nil {
			m.answered(0, err)
			<-slots
		}
	}
	for range v.inFlight {
		slots <- struct{}{}
	}
	took := time.Since(begun).Seconds()
	b := benched{Records: m.answers * int64(batch.Count()), Bytes: m.answers * int64(len(batch)), Seconds: took, LatencyMS: m.latencies.quantiles(), Errors: m.errors}
	b.RecordsPerS, b.MBPerS = float64(b.Records)/took, float64(b.Bytes)/took/1e6
	return b, m.first
}

// due is when batch i leaves; with a rate it waits until then.
func (v *benchProduce) due(ctx context.Context, begun time.Time, i int, records int32) time.Time {
	if v.rate == 0 {
		return time.Now()
	}
	at := begun.Add(time.Duration(float64(i) * float64(records) / v.rate * float64(time.Second)))
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return at
}

// latencies counts durations in buckets, 32 to each power of two of
// nanoseconds: a quantile is at most 1/32 too high.
type latencies struct {
	buckets [64 * 32]int64
	n       int64
	max     time.Duration
}

func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 32 {
		return int(n)
	}
	shift := bits.Len64(n) - 6
	return 32*(shift+1) + int(n>>shift) - 32
}

// topOf is the largest duration of a bucket.
func topOf(bucket int) time.Duration {
	if bucket < 32 {
		return time.Duration(bucket)
	}
	shift := bucket/32 - 1
	return time.Duration((uint64(bucket%32+33) << shift) - 1)
}

func (l *latencies) add(d time.Duration) {
	l.buckets[bucketOf(d)]++
	l.n++
	l.max = max(l.max, d)
}

// quantile is the duration that the share q of all do not exceed.
func (l *latencies) quantile(q float64) time.Duration {
	rank, seen := int64(q*float64(l.n)), int64(0)
	for i, n := range l.buckets {
		if seen += n; n > 0 && seen > rank {
			return min(topOf(i), l.max)
		}
	}
	return l.max
}

// quantiles are in milliseconds.
type quantiles struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (l *latencies) quantiles() quantiles {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return quantiles{ms(l.quantile(0.5)), ms(l.quantile(0.95)), ms(l.quantile(0.99)), ms(l.quantile(0.999)), ms(l.max)}
}
