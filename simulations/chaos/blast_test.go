package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// blast is how ready batches are produced for figures: one client, and so one
// connection, a partition.
type blast struct {
	address    string
	topic      codec.Topic
	partitions int
	inFlight   int           // batches of each partition
	batches    []codec.Batch // ready ones, sent in turn
	during     time.Duration // or:
	bytes      int64         // of all partitions together
}

type blasted struct {
	bytes     int64
	elapsed   time.Duration
	latencies []time.Duration // of all batches that were stored, ascending
	refused   int             // batches, by a broker that did not lead
}

func (r blasted) mbPerSecond() float64 { return float64(r.bytes) / 1e6 / r.elapsed.Seconds() }

func (r blasted) quantile(q float64) time.Duration {
	return r.latencies[min(len(r.latencies)-1, int(q*float64(len(r.latencies))))]
}

// run produces until the time is over or the bytes are acknowledged.
func (l blast) run(ctx context.Context) (all blasted, err error) {
	clients := make([]*client.Client, l.partitions)
	for i := range clients {
		if clients[i], err = at(l.address).client(ctx, "chaos-blast"); err != nil {
			return all, err
		}
		defer clients[i].Close()
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	begun := time.Now()
	for i, c := range clients {
		running.Go(func() {
			one, e := l.lane(ctx, c, codec.Partition(i), begun)
			mu.Lock()
			defer mu.Unlock()
			all.bytes += one.bytes
			all.latencies = append(all.latencies, one.latencies...)
			all.refused += one.refused
			if e != nil {
				err = e
			}
		})
	}
	running.Wait()
	all.elapsed = time.Since(begun)
	slices.Sort(all.latencies)
	return all, err
}

// lane produces to one partition.
func (l blast) lane(ctx context.Context, c *client.Client, p codec.Partition, begun time.Time) (r blasted, err error) {
	type answer struct {
		took  time.Duration
		bytes int
		err   error
	}
	answers := make(chan answer, l.inFlight)
	take := func() {
		a := <-answers
		switch {
		case codec.CodeOf(a.err) == codec.NotLeader:
			r.refused++ // its client knows better now
			return
		case a.err != nil:
			err = a.err
		}
		r.bytes += int64(a.bytes)
		r.latencies = append(r.latencies, a.took)
	}
	open, sent := 0, int64(0)
	for i := 0; err == nil && (l.during > 0 && time.Since(begun) < l.during || sent < l.bytes/int64(l.partitions)); i++ {
		if open == l.inFlight {
			take()
			open--
		}
		b := l.batches[i%len(l.batches)]
		at := time.Now()
		if e := c.ProduceBatch(ctx, codec.TopicPartition{Topic: l.topic, Partition: p}, b, func(_ codec.Produced, err error) {
			answers <- answer{time.Since(at), len(b), err}
		}); e != nil {
			return r, e
		}
		sent += int64(len(b))
		open++
	}
	for range open {
		take()
	}
	return r, err
}

// readyBatches are batches of 64 KiB, of 64 records of about 1 KiB.
func readyBatches() []codec.Batch {
	chance := rand.New(rand.NewPCG(1, 1))
	all := make([]codec.Batch, 16)
	for i := range all {
		var w codec.Builder
		for n := range uint64(64) {
			r := newRecord(tokenOf(1, uint64(i)<<10|n+1), 1004, chance)
			w.Append(r.Timestamp, nil, r.Value, nil)
		}
		b, err := w.Build(codec.NoCompression)
		if err != nil {
			panic(fmt.Sprintf("chaos: build a batch: %v", err))
		}
		all[i] = b
	}
	return all
}
