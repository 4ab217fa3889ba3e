package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// produceVerb is `troupe produce`.
type produceVerb struct {
	remote
	s         streams
	topic     codec.Topic
	output    string
	create    bool
	delimiter string
	partition int32
	headers   []string
	noRetry   bool
}

func newProduce(s streams) *cobra.Command {
	v := &produceVerb{s: s}
	c := &cobra.Command{
		Use: "produce TOPIC", Short: "Store each line of standard input as a record", Args: cobra.ExactArgs(1),
		Long: `Store each line of standard input as a record. A line is all bytes up to \n, kept
as they are; the last one may go without. When it ends with exit code 0, every
line is committed and durable as the topic says, once and in order. What is
refused for now or not answered is sent again, for 2 minutes at most.`,
		Example: `  troupe produce access --create < access.log
  troupe produce bookings --key-delimiter : --header source=web < changes.txt`,
		RunE: func(c *cobra.Command, args []string) error {
			v.topic = codec.Topic(args[0])
			return v.run(c)
		},
	}
	f := c.Flags()
	f.BoolVar(&v.create, "create", false, "create the topic, with 1 partition, when it is not there")
	f.StringVar(&v.delimiter, "key-delimiter", "", "what ends the key in a line, at its first match; a line without it has no key")
	f.Int32Var(&v.partition, "partition", allPartitions, "store in this partition (default: by key; records without one stay together for a batch)")
	f.StringArrayVar(&v.headers, "header", nil, "a header for every record, k=v; repeatable")
	f.BoolVar(&v.noRetry, "no-retry", false, "send each batch once: what is refused for now, or not answered, ends it")
	v.flag(c)
	outputFlag(c, &v.output)
	c.ValidArgsFunction = v.topics
	complete(c, "partition", v.partitions)
	return c
}

func (v *produceVerb) run(c *cobra.Command) error {
	var headers []codec.Header
	for _, h := range v.headers {
		key, value, ok := strings.Cut(h, "=")
		if !ok {
			return usagef("--header %q: want k=v", h)
		}
		if !utf8.ValidString(key) {
			return usagef("--header %q: its key is not UTF-8", h)
		}
		headers = append(headers, codec.Header{Key: key, Value: []byte(value)})
	}
	if c.Flags().Changed("partition") && v.partition < 0 {
		return usagef("--partition %d: want 0 or more", v.partition)
	}
	return v.with(c, func(ctx context.Context, cl *client.Client) error {
		d, err := v.describe(ctx, cl)
		if err != nil {
			return err
		}
		if _, err := chosen(d, codec.Partition(v.partition)); err != nil {
			return err
		}
		limit, err := messageBytesMax(d)
		if err != nil {
			return err
		}
		return v.produce(ctx, cl, headers, limit)
	})
}

// describe is the topic, which is made when that was asked for.
func (v *produceVerb) describe(ctx context.Context, cl *client.Client) (codec.TopicDescription, error) {
	d, err := cl.DescribeTopic(ctx, v.topic)
	if err == nil || !errors.Is(err, codec.E(codec.UnknownTopic)) {
		return d, err
	}
	if !v.create {
		return d, fmt.Errorf("%w: --create creates it", err)
	}
	d, err = cl.CreateTopic(ctx, codec.CreateTopic{Topic: v.topic, Partitions: 1})
	if errors.Is(err, codec.E(codec.TopicExists)) { // somebody was faster
		return cl.DescribeTopic(ctx, v.topic)
	}
	return d, err
}

// messageBytesMax is the largest batch that a topic takes.
func messageBytesMax(d codec.TopicDescription) (int, error) {
	const name = "message.bytes.max"
	s, err := cluster.DefaultSettings().With(map[string]string{name: d.Settings[name]})
	if err != nil {
		return 0, fmt.Errorf("settings of %s: %w", d.Topic, err)
	}
	return int(s.MessageBytesMax), nil
}

const (
	batchBytes = 256 << 10        // of a batch, when the topic takes it
	partWithin = 10 * time.Second // for the last answers, after an interrupt
)

// produce reads until the input ends, something fails or ctx ends, and waits
// for all answers.
func (v *produceVerb) produce(ctx context.Context, cl *client.Client, headers []codec.Header, limit int) error {
	begun := time.Now()
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t := newTally(stop)
	p, err := cl.Producer(ctx, v.topic, client.ProducerOptions{BatchBytes: min(batchBytes, limit), StopAtError: true, NoRetry: v.noRetry})
	if err != nil {
		return err
	}
	read := &counted{from: v.s.in}
	unwatch := v.s.watch(effort{total: sizeOf(v.s.in), bytes: true, done: read.n.Load, says: t.says})
	if v.s.terminal && isTerminal(v.s.in) {
		fmt.Fprintln(v.s.err, "each line is a record; Ctrl-D ends")
	}
	in := newLines(newInterruptible(reading, read), limit+len(v.delimiter))
	stopped := v.feed(reading, p, in, t, headers, limit)
	closing, done := outlive(ctx, partWithin)
	defer done()
	if err := p.Close(closing); err != nil {
		t.fail(err)
	}
	cl.Close() // what has no answer yet gets one now: UNKNOWN
	unwatch()
	return v.report(t, stopped, time.Since(begun))
}

// outlive is a context that ends so long after ctx.
func outlive(ctx context.Context, more time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(more, cancel) })
	return longer, func() { stop(); cancel() }
}

// feed gives line after line to the producer. Its error is why it stopped
// before the input's end.
func (v *produceVerb) feed(ctx context.Context, p *client.Producer, in *lines, t *tally, headers []codec.Header, limit int) error {
	for {
		line, err := in.next()
		var long tooLong
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &long):
			return v.tooLarge(in.number, err.Error(), limit)
		case err != nil:
			return fmt.Errorf("read standard input: %w", err)
		}
		r := codec.Record{Value: line, Headers: headers}
		if v.delimiter != "" {
			if key, value, ok := bytes.Cut(line, []byte(v.delimiter)); ok {
				r.Key, r.Value = key, value
			}
		}
		if size := batchSize(&r, limit); size > limit {
			return v.tooLarge(in.number, fmt.Sprintf("%d bytes, %d as a batch of its own", len(line), size), limit)
		}
		if v.partition == allPartitions {
			err = p.Produce(ctx, r, t.line(in.number))
		} else {
			err = p.ProduceTo(ctx, codec.Partition(v.partition), r, t.line(in.number))
		}
		if err != nil {
			return err
		}
		t.taken(len(r.Key) + len(r.Value))
	}
}

// batchSize is the size of a batch that holds r alone, exactly when it comes
// near the limit.
func batchSize(r *codec.Record, limit int) int {
	if most := codec.BatchHeaderBytes + codec.RecordBytesMax(r.Key, r.Value, r.Headers); most <= limit {
		return most
	}
	var b codec.Builder
	b.Append(0, r.Key, r.Value, r.Headers)
	return b.Size()
}

func (v *produceVerb) tooLarge(line int64, size string, limit int) error {
	return fmt.Errorf("line %d has %s: %s takes at most %d (message.bytes.max, which troupe topic alter can set up to %d)",
		line, size, v.topic, limit, cluster.MessageBytesMaxLimit)
}

// produced is what `produce` did, as JSON shows it. Bytes are those of keys
// and values; the second of a partition's offsets is that of its last record.
type produced struct {
	Records int64                               `json:"records"`
	Bytes   int64                               `json:"bytes"`
	Seconds float64                             `json:"seconds"`
	Offsets map[codec.Partition][2]codec.Offset `json:"offsets"`
}

func (v *produceVerb) report(t *tally, stopped error, took time.Duration) error {
	p, err := t.verdict(v.topic, stopped)
	if err != nil {
		return err
	}
	p.Seconds = took.Seconds()
	if v.output == "json" {
		return json.NewEncoder(v.s.out).Encode(p)
	}
	_, err = fmt.Fprintf(v.s.err, "%s to %s: %s bytes in %s, %s\n", count(p.Records, "record"), v.topic, grouped(p.Bytes), roundly(took), p.places())
	return err
}

// places says where the records are: "partition 0 has the offsets 0 to 99".
func (p produced) places() string {
	const most = 8
	switch n := len(p.Offsets); {
	case n == 0:
		return "nothing to store"
	case n > most:
		return fmt.Sprintf("%d partitions", n)
	}
	var all []string
	for _, n := range sortedKeys(p.Offsets) {
		all = append(all, fmt.Sprintf("partition %d offsets %d to %d", n, p.Offsets[n][0], p.Offsets[n][1]))
	}
	return strings.Join(all, ", ")
}

// roundly is a duration with as many digits as a person wants.
func roundly(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
