package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// consumeVerb is `troupe consume`.
type consumeVerb struct {
	remote
	s         streams
	topic     codec.Topic
	from, to  string
	partition int32
	group     string
	max       int64
	follow    bool
	format    string
	output    string
	printed   atomic.Int64 // records
}

func newConsume(s streams) *cobra.Command {
	v := &consumeVerb{s: s}
	c := &cobra.Command{
		Use: "consume TOPIC", Short: "Print the records of a topic", Args: cobra.ExactArgs(1),
		Long: `Print the records of a topic, from the oldest to the one that is newest now: each
value and a newline. Within a partition they come in order; between partitions
in any.

--format is a Go template over Topic, Partition, Offset, Timestamp (ms since
1970), Key, Value and Headers (by key); a newline follows it.`,
		Example: `  troupe consume access | head
  troupe consume access --from -10m --follow
  troupe consume bookings --format '{{.Partition}}/{{.Offset}} {{.Key}}: {{.Value}}'`,
		RunE: func(c *cobra.Command, args []string) error {
			v.topic = codec.Topic(args[0])
			return v.run(c)
		},
	}
	f := c.Flags()
	f.StringVar(&v.from, "from", "oldest", "oldest, newest, offset:N, time:T (such as time:2026-01-31T15:04:05Z) or a time ago such as -10m")
	f.StringVar(&v.to, "to", "newest", "newest (what is newest now), offset:N or time:T: the first record not to print")
	f.Int32Var(&v.partition, "partition", allPartitions, "only this partition (default: all)")
	f.StringVar(&v.group, "group", "", "consumer group (not there yet)")
	f.Int64Var(&v.max, "max", 0, "stop after so many records (default: no limit)")
	f.BoolVar(&v.follow, "follow", false, "go on with the records to come, until interrupted")
	f.StringVar(&v.format, "format", "", "Go template for each record")
	v.flag(c)
	outputFlag(c, &v.output)
	c.ValidArgsFunction = v.topics
	complete(c, "partition", v.partitions)
	complete(c, "from", v.places("oldest", "newest", "-10m", "-1h", "-1d", "offset:", "time:"))
	complete(c, "to", v.places("newest", "-10m", "-1h", "-1d", "offset:", "time:"))
	return c
}

func (v *consumeVerb) run(c *cobra.Command) error {
	from, to, err := v.check(c)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(v.s.out, 64<<10)
	print, err := newPrinter(out, v.topic, v.output, v.format)
	if err != nil {
		return err
	}
	return v.with(c, func(ctx context.Context, cl *client.Client) error {
		spans, err := v.spans(ctx, cl, from, to)
		if err != nil {
			return err
		}
		r := cl.Read(v.topic, spans, client.ReadOptions{})
		defer r.Close()
		defer v.watch(spans)()
		return v.read(ctx, r, out, print)
	})
}

// check finds what is wrong with the flags before anything is connected.
func (v *consumeVerb) check(c *cobra.Command) (from, to position, err error) {
	changed := c.Flags().Changed
	now := time.Now()
	if from, err = parsePosition("from", v.from, now); err != nil {
		return from, to, err
	}
	if to, err = parsePosition("to", v.to, now); err != nil {
		return from, to, err
	}
	switch {
	case changed("group"):
		err = usagef("--group %s: there are no consumer groups yet: leave it out, and give the position with --from", v.group)
	case changed("format") && changed("output"):
		err = usagef("--format and -o %s: give one of them", v.output)
	case changed("max") && v.max < 1:
		err = usagef("--max %d: want 1 or more", v.max)
	case changed("partition") && v.partition < 0:
		err = usagef("--partition %d: want 0 or more", v.partition)
	case v.follow && changed("to") && to.kind != atOffset:
		err = usagef("--follow with %s: only --to offset:N can be waited for", to.text)
	}
	return from, to, err
}

// spans are what to read of each partition.
func (v *consumeVerb) spans(ctx context.Context, cl *client.Client, from, to position) ([]client.Span, error) {
	d, err := cl.DescribeTopic(ctx, v.topic)
	if err != nil {
		return nil, err
	}
	parts, err := chosen(d, codec.Partition(v.partition))
	if err != nil {
		return nil, err
	}
	var spans []client.Span
	for _, n := range parts {
		tp := codec.TopicPartition{Topic: v.topic, Partition: n}
		oldest, newest, err := cl.Offsets(ctx, tp)
		if err != nil {
			return nil, err
		}
		s := client.Span{Partition: n}
		if s.From, err = from.in(ctx, cl, tp, oldest, newest); err != nil {
			return nil, err
		}
		if s.Limit, err = v.limit(ctx, cl, tp, to, oldest, newest); err != nil {
			return nil, err
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// limit is the offset of the first record not to read. One that is not there
// yet is waited for with --follow only.
func (v *consumeVerb) limit(ctx context.Context, cl *client.Client, tp codec.TopicPartition, to position, oldest, newest codec.Offset) (codec.Offset, error) {
	switch {
	case v.follow && to.kind == atNewest:
		return client.Follow, nil
	case v.follow:
		return to.offset, nil
	case to.kind == atOffset:
		return min(to.offset, newest), nil
	}
	at, err := to.in(ctx, cl, tp, oldest, newest)
	return min(at, newest), err
}

// read prints what r reads. What was printed is flushed whenever the next
// record is not there yet.
func (v *consumeVerb) read(ctx context.Context, r *client.Reader, out *bufio.Writer, print printer) error {
	atOnce, cancel := context.WithCancel(ctx)
	cancel()
	for n := int64(0); v.max == 0 || n < v.max; n++ {
		partition, rec, err := r.Next(atOnce)
		if errors.Is(err, context.Canceled) { // it would have waited
			if err := out.Flush(); err != nil {
				return err
			}
			partition, rec, err = r.Next(ctx)
		}
		if err != nil {
			return errors.Join(out.Flush(), v.ended(ctx, err, n))
		}
		if err := print(partition, rec); err != nil {
			return errors.Join(out.Flush(), err)
		}
		v.printed.Add(1)
	}
	return out.Flush()
}

// watch shows how far it is towards --to, unless the records themselves are
// on the same terminal.
func (v *consumeVerb) watch(spans []client.Span) (stop func()) {
	if !v.s.piped {
		return func() {}
	}
	var total int64
	for _, s := range spans {
		if s.Limit == client.Follow {
			total = 0
			break
		}
		total += int64(max(0, s.Limit-s.From))
	}
	if v.max > 0 && (total == 0 || v.max < total) {
		total = v.max
	}
	return v.s.watch(effort{total: total, done: v.printed.Load, says: func() string { return count(v.printed.Load(), "record") }})
}

// ended says whether the end of reading is a failure.
func (v *consumeVerb) ended(ctx context.Context, err error, n int64) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil && v.follow:
		return nil // an interrupt is how it ends
	case ctx.Err() != nil:
		return fmt.Errorf("consume %s: interrupted after %s", v.topic, count(n, "record"))
	}
	var damage *client.DamagedBatch
	if errors.As(err, &damage) {
		err = fmt.Errorf("%w: the records behind it: --partition %d --from offset:%d", err, damage.Partition, damage.Next)
	}
	return fmt.Errorf("consume %s: stopped after %s: %w", v.topic, count(n, "record"), err)
}
