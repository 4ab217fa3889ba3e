package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

func newBench(s streams) *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure a broker", Args: cobra.NoArgs,
		Long: `Measure a broker. Each verb makes a topic of its own and removes it in the end,
unless --topic names one. A table goes to standard error; with -o json, one
object goes to standard output. The exit code is 1 when anything failed.`,
		Example: "  troupe bench produce --duration 10s\n  troupe bench consume\n  troupe bench latency --rate 1000",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newBenchProduce(s), newBenchConsume(s), newBenchLatency(s))
	return c
}

// bench is what the verbs below bench have in common.
type bench struct {
	remote
	s           streams
	what        string // the verb
	output      string
	topic       string
	partitions  int32
	recordSize  int
	batchBytes  int
	inFlight    int
	idempotent  bool
	connections int
	records     int64
	duration    time.Duration
	rateText    string
	rate        rate
	compression string
	codec       codec.Compression
	durability  string
	http        string
	hgrm        string

	clients []*client.Client // while it runs
}

// flags are those that mean the same to each verb.
func (v *bench) flags(c *cobra.Command, records string) {
	f := c.Flags()
	f.StringVar(&v.topic, "topic", "", "topic to use, which stays (default: one of its own, which is removed)")
	f.Int32Var(&v.partitions, "partitions", 6, "partitions to use")
	f.IntVar(&v.recordSize, "record-size", 1024, "bytes of a record's value")
	f.IntVar(&v.connections, "connections", 1, "connections; partitions are dealt out to them")
	f.Int64Var(&v.records, "records", 0, records)
	f.StringVar(&v.compression, "compression", "none", "of batches: none, gzip, snappy, lz4 or zstd; more than half of a value can be compressed away")
	f.StringVar(&v.durability, "durability", "fsync", "of the bench's own topic: fsync, or os (acknowledged from the page cache)")
	f.StringVar(&v.http, "http", "127.0.0.1:9653", "the broker's HTTP address, for bytes per fsync; null when it cannot be reached")
	f.StringVar(&v.hgrm, "hgrm", "", "file for the latencies, as HdrHistogram's plotter reads them")
	v.flag(c)
	outputFlag(c, &v.output)
	complete(c, "topic", v.topics)
	complete(c, "compression", words(compressions...))
	complete(c, "durability", words("fsync", "os"))
}

// check finds what is wrong with the flags before anything is connected.
func (v *bench) check(c *cobra.Command) (err error) {
	if v.rate, err = parseRate(v.rateText); err != nil {
		return err
	}
	if v.codec, err = codec.ParseCompression(v.compression); err != nil {
		return usagef("--compression %q: want none, gzip, snappy, lz4 or zstd", v.compression)
	}
	switch {
	case v.partitions < 1:
		return usagef("--partitions %d: want 1 or more", v.partitions)
	case v.inFlight < 1:
		return usagef("--in-flight %d: want 1 or more", v.inFlight)
	case v.idempotent && v.inFlight > numberedMax && c.Flags().Changed("idempotent"):
		return usagef("--in-flight %d with --idempotent: want 1 to %d, for a log remembers as many batches of a producer", v.inFlight, numberedMax)
	case v.connections < 1:
		return usagef("--connections %d: want 1 or more", v.connections)
	case v.records < 0, v.records == 0 && c.Flags().Changed("records"):
		return usagef("--records %d: want 1 or more", v.records)
	case v.duration <= 0:
		return usagef("--duration %s: want more than 0s", v.duration)
	case v.recordSize < 0, v.recordSize+recordRoom > v.batchBytes:
		return usagef("--record-size %d: want 0 to --batch-bytes %d less %d", v.recordSize, v.batchBytes, recordRoom)
	case v.durability != "fsync" && v.durability != "os":
		return usagef("--durability %q: want fsync or os", v.durability)
	case v.topic != "" && c.Flags().Changed("durability"):
		return usagef("--durability with --topic: that topic has one; change it with: troupe topic alter %s --set durability=%s", v.topic, v.durability)
	}
	return nil
}

// recordRoom is what a batch needs besides the value of one record.
const recordRoom = 128

// run measures: it connects, sees to the topic, has do measure and reports.
func (v *bench) run(c *cobra.Command, do func(context.Context) (*meter, error)) error {
	if err := v.check(c); err != nil {
		return err
	}
	to, err := v.reach(c)
	if err != nil {
		return err
	}
	for range v.connections {
		cl, err := to.dial(c.Context())
		if err != nil {
			return err
		}
		defer cl.Close()
		v.clients = append(v.clients, cl)
	}
	return explain(c.Context(), v.clients[0], v.topic, v.on(c.Context(), do))
}

// on runs do on the topic, which is removed afterwards when it is the bench's
// own.
func (v *bench) on(ctx context.Context, do func(context.Context) (*meter, error)) (err error) {
	remove, err := v.prepare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	m, err := do(ctx)
	if err != nil {
		return err
	}
	return errors.Join(v.report(m.result()), v.export(m), v.verdict(ctx, m))
}

// verdict is why the bench failed, if it did.
func (v *bench) verdict(ctx context.Context, m *meter) error {
	switch {
	case m.first != nil:
		return fmt.Errorf("bench %s: %s: %w", v.what, count(m.errors, "error"), m.first)
	case ctx.Err() != nil:
		return fmt.Errorf("bench %s: interrupted after %s", v.what, count(m.records.Load(), "record"))
	}
	return nil
}

func (v *bench) report(b benched) error {
	if v.output == "json" {
		return json.NewEncoder(v.s.out).Encode(b)
	}
	return b.print(v.s.err)
}

// of is the client for a partition.
func (v *bench) of(p codec.Partition) *client.Client { return v.clients[int(p)%len(v.clients)] }
