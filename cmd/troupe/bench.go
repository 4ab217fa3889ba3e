package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

func newBench(s streams) *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure a broker", Example: "  troupe bench produce --seconds 10", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newBenchProduce(s))
	return c
}

// benchProduce is `troupe bench produce`.
type benchProduce struct {
	remote
	s          streams
	output     string
	topic      string
	partitions int32
	batchBytes int
	recordSize int
	inFlight   int
	seconds    float64
	rate       float64 // records a second, 0 = as fast as answers come
}

func newBenchProduce(s streams) *cobra.Command {
	v := &benchProduce{s: s}
	c := &cobra.Command{
		Use: "produce", Short: "Send ready batches and measure their answers", Args: cobra.NoArgs,
		Long: `Send ready batches over one connection, so many in flight, each partition in turn,
and measure how long their answers take. The loop is closed: the next batch leaves
when an answer has come. With --rate batches leave on a schedule, and latency
counts from when they were due.

The topic is made when it is not there, and stays.`,
		Example: "  troupe bench produce --partitions 4 --batch-bytes 65536 --in-flight 32 --seconds 10 -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := v.check(); err != nil {
				return err
			}
			return v.with(c, v.run)
		},
	}
	f := c.Flags()
	f.StringVar(&v.topic, "topic", "bench", "topic to produce to")
	f.Int32Var(&v.partitions, "partitions", 4, "partitions to produce to")
	f.IntVar(&v.batchBytes, "batch-bytes", 64<<10, "bytes of a batch, at most")
	f.IntVar(&v.recordSize, "record-size", 1024, "bytes of a record's value")
	f.IntVar(&v.inFlight, "in-flight", 32, "batches without an answer, in all")
	f.Float64Var(&v.seconds, "seconds", 10, "how long")
	f.Float64Var(&v.rate, "rate", 0, "records a second (default: as fast as answers come)")
	v.flag(c)
	outputFlag(c, &v.output)
	return c
}

func (v *benchProduce) check() error {
	switch {
	case v.partitions < 1, v.inFlight < 1:
		return usagef("--partitions %d, --in-flight %d: want 1 or more", v.partitions, v.inFlight)
	case v.seconds <= 0, v.rate < 0:
		return usagef("--seconds %g, --rate %g: want more than 0", v.seconds, v.rate)
	case v.recordSize < 0, v.recordSize+128 > v.batchBytes:
		return usagef("--record-size %d: want 0 to --batch-bytes %d less 128", v.recordSize, v.batchBytes)
	}
	return nil
}

// benched is what was measured, as JSON shows it. Bytes are those of whole
// batches; an MB is a million bytes.
type benched struct {
	Records       int64     `json:"records"`
	Bytes         int64     `json:"bytes"`
	Seconds       float64   `json:"seconds"`
	RecordsPerS   float64   `json:"records_per_s"`
	MBPerS        float64   `json:"mb_per_s"`
	BytesPerFsync *float64  `json:"bytes_per_fsync"` // null: not measured yet
	LatencyMS     quantiles `json:"latency_ms"`
	Errors        int64     `json:"errors"`
}

func (v *benchProduce) run(ctx context.Context, cl *client.Client) error {
	batch, err := v.batch()
	if err != nil {
		return err
	}
	if err := v.prepare(ctx, cl, len(batch)); err != nil {
		return err
	}
	b, first := v.measure(ctx, cl, batch)
	if v.output == "json" {
		err = json.NewEncoder(v.s.out).Encode(b)
	} else {
		err = v.print(b)
	}
	if first != nil {
		return fmt.Errorf("bench produce: %s: %w", count(b.Errors, "error"), first)
	}
	return err
}

// batch is the one that is sent over and over.
func (v *benchProduce) batch() (codec.Batch, error) {
	var b codec.Builder
	value := []byte(strings.Repeat("troupe benchmark ", v.recordSize/17+1)[:v.recordSize])
	now := codec.Millis(time.Now().UnixMilli())
	b.Append(now, nil, value, nil)
	for b.Size()+codec.RecordBytesMax(nil, value, nil) <= v.batchBytes {
		b.Append(now, nil, value, nil)
	}
	return b.Build(codec.NoCompression)
}

// prepare sees to the topic.
func (v *benchProduce) prepare(ctx context.Context, cl *client.Client, size int) error {
	d, err := cl.DescribeTopic(ctx, codec.Topic(v.topic))
	if errors.Is(err, codec.E(codec.UnknownTopic)) {
		d, err = cl.CreateTopic(ctx, codec.CreateTopic{Topic: codec.Topic(v.topic), Partitions: v.partitions})
	}
	if err != nil {
		return err
	}
	if n := len(d.Partitions); n < int(v.partitions) {
		return fmt.Errorf("%s has %s, --partitions asks for %d: give it more with: troupe topic alter %s --partitions %d", v.topic, count(int64(n), "partition"), v.partitions, v.topic, v.partitions)
	}
	limit, err := messageBytesMax(d)
	if err == nil && size > limit {
		return usagef("--batch-bytes %d makes batches of %d bytes: %s takes at most %d (message.bytes.max)", v.batchBytes, size, v.topic, limit)
	}
	return err
}

func (v *benchProduce) print(b benched) error {
	l := b.LatencyMS
	_, err := fmt.Fprintf(v.s.out, "%s, %.1f MB in %.2f s: %.0f records/s, %.1f MB/s, %s\nlatency of a batch in ms: p50 %.3g, p95 %.3g, p99 %.3g, p99.9 %.3g, max %.3g\n",
		count(b.Records, "record"), float64(b.Bytes)/1e6, b.Seconds, b.RecordsPerS, b.MBPerS, count(b.Errors, "error"), l.P50, l.P95, l.P99, l.P999, l.Max)
	return err
}
