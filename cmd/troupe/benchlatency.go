package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

func newBenchLatency(s streams) *cobra.Command {
	v := &bench{s: s, what: "latency"}
	c := &cobra.Command{
		Use: "latency", Short: "Measure the way of a record from producer to consumer", Args: cobra.NoArgs,
		Long: `Send records on a schedule, each a batch of its own unless --batch-bytes holds
more, while readers follow each partition. Latency counts from when a record
was due to leave until a reader has it: committed, durable as the topic says,
read and delivered. A record that does not arrive is an error. Bytes are those
of values.`,
		Example: "  troupe bench latency --rate 1000 --duration 30s\n  troupe bench latency --rate 20MB/s --batch-bytes 65536 --hgrm latency.hgrm",
		RunE: func(c *cobra.Command, _ []string) error {
			if v.batchBytes == 0 {
				v.batchBytes = v.recordSize + recordRoom
			}
			if v.recordSize < stampBytes {
				return usagef("--record-size %d: want %d or more, for the time is in it", v.recordSize, stampBytes)
			}
			if v.rateText == "" {
				return usagef("--rate is empty: want records a second, such as 5000, or bytes, such as 50MB/s")
			}
			return v.run(c, v.latency)
		},
	}
	f := c.Flags()
	f.IntVar(&v.batchBytes, "batch-bytes", 0, "bytes of a batch before compression, at most (default: one record)")
	f.IntVar(&v.inFlight, "in-flight", 64, "batches of a partition without an answer; those that are due behind them wait")
	f.DurationVar(&v.duration, "duration", 10*time.Second, "how long to send, unless --records ends it first")
	f.StringVar(&v.rateText, "rate", "1000", "records a second, or MB/s, over all partitions")
	v.flags(c, "how many to send (default: until --duration is over)")
	return c
}

// stampBytes are the run and the time in a record: 8 bytes each.
const stampBytes = 16

// journey is a latency bench at work.
type journey struct {
	load
	run     uint64       // tells our records from others
	sent    atomic.Int64 // acknowledged
	arrived chan struct{}
}

// arriveWithin is how long the last records may take.
const arriveWithin = 10 * time.Second

func (v *bench) latency(ctx context.Context) (*meter, error) {
	j := &journey{load: load{bench: v, meter: newMeter(true)}, run: rand.Uint64(), arrived: make(chan struct{}, 1)}
	if err := j.plan(); err != nil {
		return nil, err
	}
	spans, err := v.clients[0].Spans(ctx, codec.Topic(v.topic), false)
	if err != nil {
		return nil, err
	}
	before, known := v.fsyncs()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	j.begun = time.Now()
	j.end = j.begun.Add(v.duration)
	unwatch := v.s.watch(j.effort())
	var readers, senders sync.WaitGroup
	for _, s := range spans[:v.partitions] {
		s.From, s.Limit = s.Limit, client.Follow
		readers.Go(func() { j.follow(reading, s) })
		senders.Go(func() { j.send(ctx, s.Partition) })
	}
	senders.Wait()
	j.awaitAll(ctx)
	j.meter.took = time.Since(j.begun)
	stop()
	readers.Wait()
	unwatch()
	j.meter.bytesPerFsync = v.perFsync(before, known)
	return j.meter, nil
}

// send sends to one partition, on schedule.
func (j *journey) send(ctx context.Context, p codec.Partition) {
	slots, value := make(chan struct{}, j.inFlight), j.value(rand.New(rand.NewPCG(1, 2)))
	tp := codec.TopicPartition{Topic: codec.Topic(j.topic), Partition: p}
	for i := int64(0); ctx.Err() == nil && !j.meter.failed(); i++ {
		due, ok := j.due(ctx, p, i)
		size := j.next()
		if !ok || size == nil {
			break
		}
		slots <- struct{}{}
		b, err := j.stamped(value, size.Count(), due)
		if err == nil {
			err = j.of(p).ProduceBatch(ctx, tp, b, func(_ codec.Produced, err error) {
				if err != nil {
					j.meter.fail(err)
				} else {
					j.sent.Add(int64(b.Count()))
				}
				<-slots
			})
		}
		if err != nil {
			<-slots
			if ctx.Err() == nil {
				j.meter.fail(err)
			}
		}
	}
	for range j.inFlight { // until all are answered
		slots <- struct{}{}
	}
}

// stamped is a batch of n records that were due at a moment, which value is
// made to say.
func (j *journey) stamped(value []byte, n int32, due time.Time) (codec.Batch, error) {
	binary.BigEndian.PutUint64(value, j.run)
	binary.BigEndian.PutUint64(value[8:], uint64(due.Sub(j.begun)))
	var b codec.Builder
	for range n {
		b.Append(codec.Millis(due.UnixMilli()), nil, value, nil)
	}
	p, err := b.Build(j.codec)
	return append(codec.Batch(nil), p...), err
}

// follow reads one partition until ctx ends.
func (j *journey) follow(ctx context.Context, s client.Span) {
	r := j.of(s.Partition).Read(codec.Topic(j.topic), []client.Span{s}, client.ReadOptions{})
	defer r.Close()
	for {
		_, rec, err := r.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			j.meter.fail(err)
			return
		}
		if len(rec.Value) < stampBytes || binary.BigEndian.Uint64(rec.Value) != j.run {
			continue // somebody else's
		}
		due := j.begun.Add(time.Duration(binary.BigEndian.Uint64(rec.Value[8:])))
		j.meter.answered(time.Since(due), 1, int64(len(rec.Value)), nil)
		select {
		case j.arrived <- struct{}{}:
		default:
		}
	}
}

// awaitAll waits until all that was acknowledged has arrived.
func (j *journey) awaitAll(ctx context.Context) {
	late := time.NewTimer(arriveWithin)
	defer late.Stop()
	for j.meter.records.Load() < j.sent.Load() && !j.meter.failed() {
		select {
		case <-j.arrived:
		case <-ctx.Done():
			return
		case <-late.C:
			missing := j.sent.Load() - j.meter.records.Load()
			j.meter.fail(fmt.Errorf("%s acknowledged and not read %s later", count(missing, "record"), arriveWithin))
			return
		}
	}
}
