package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// backlogDefault is how many records a consume bench makes of its own.
const backlogDefault = 500_000

func newBenchConsume(s streams) *cobra.Command {
	v := &bench{s: s, what: "consume", batchBytes: 64 << 10, inFlight: 8, duration: time.Hour}
	c := &cobra.Command{
		Use: "consume", Short: "Read a backlog and measure how fast it comes", Args: cobra.NoArgs,
		Long: `Read a backlog, all partitions at once, from the oldest record to what was newest
at the start. Unless --topic names one, it is made first, which is not measured.
Bytes are those of keys and values.`,
		Example: "  troupe bench consume --records 1000000\n  troupe bench consume --topic access -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if v.topic == "" && v.records == 0 && !c.Flags().Changed("records") {
				v.records = backlogDefault
			}
			if v.hgrm != "" {
				return usagef("--hgrm %s: a backlog has no latencies", v.hgrm)
			}
			own := v.topic == ""
			return v.run(c, func(ctx context.Context) (*meter, error) { return v.consume(ctx, own) })
		},
	}
	c.Flags().IntVar(&v.batchBytes, "batch-bytes", v.batchBytes, "bytes of a batch of the backlog, before compression, at most")
	v.flags(c, fmt.Sprintf("how many to read (default: all of --topic, else %d)", backlogDefault))
	return c
}

// consume makes the backlog when that is needed, and reads it.
func (v *bench) consume(ctx context.Context, fill bool) (*meter, error) {
	if fill {
		m, err := v.produce(ctx)
		if err == nil {
			err = m.first
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("make a backlog: %w", err)
		}
		v.records = 0 // all of it is read
	}
	spans, total, err := v.backlog(ctx)
	if err != nil {
		return nil, err
	}
	m := newMeter(false)
	begun := time.Now()
	unwatch := v.s.watch(effort{total: total, done: m.records.Load, says: m.says})
	var parts sync.WaitGroup
	for _, span := range spans {
		parts.Go(func() {
			if err := v.read(ctx, span, m); err != nil && ctx.Err() == nil {
				m.fail(err)
			}
		})
	}
	parts.Wait()
	m.took = time.Since(begun)
	unwatch()
	return m, nil
}

// backlog is what there is to read, at most --records in all.
func (v *bench) backlog(ctx context.Context) (spans []client.Span, total int64, err error) {
	all, err := v.clients[0].Spans(ctx, codec.Topic(v.topic), false)
	if err != nil {
		return nil, 0, err
	}
	for i, s := range all[:min(int(v.partitions), len(all))] {
		if share := v.share(i); v.records > 0 {
			s.Limit = min(s.Limit, s.From+codec.Offset(share))
		}
		spans, total = append(spans, s), total+int64(s.Limit-s.From)
	}
	if total == 0 {
		return nil, 0, fmt.Errorf("bench consume: %s holds no records: fill it with: troupe bench produce --topic %s", v.topic, v.topic)
	}
	return spans, total, nil
}

// share is a partition's part of --records.
func (v *bench) share(partition int) int64 {
	n := v.records / int64(v.partitions)
	if int64(partition) < v.records%int64(v.partitions) {
		n++
	}
	return n
}

// tellEvery is after how many records a reader tells the meter.
const tellEvery = 256

// read reads a span.
func (v *bench) read(ctx context.Context, span client.Span, m *meter) error {
	r := v.of(span.Partition).Read(codec.Topic(v.topic), []client.Span{span}, client.ReadOptions{})
	defer r.Close()
	var records, bytes int64
	tell := func() {
		m.records.Add(records)
		m.bytes.Add(bytes)
		records, bytes = 0, 0
	}
	defer tell()
	for {
		_, rec, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		records, bytes = records+1, bytes+int64(len(rec.Key)+len(rec.Value))
		if records == tellEvery {
			tell()
		}
	}
}
