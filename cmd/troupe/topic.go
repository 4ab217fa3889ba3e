package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

func newTopic(s streams) *cobra.Command {
	c := &cobra.Command{Use: "topic", Short: "Create, list, describe, alter, trim and delete topics", Example: "  troupe topic create bookings --partitions 6\n  troupe topic list",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newTopicCreate(s), newTopicList(s), newTopicDescribe(s), newTopicAlter(s), newTopicTrim(s), newTopicDelete(s))
	return c
}

// topicVerb is what the verbs below topic have in common.
type topicVerb struct {
	remote
	output     string
	partitions int32
	replicas   int32
	set        []string
}

func (v *topicVerb) flags(c *cobra.Command) *cobra.Command {
	v.flag(c)
	outputFlag(c, &v.output)
	return c
}

// named is flags for a verb whose argument is a topic that is there.
func (v *topicVerb) named(c *cobra.Command) *cobra.Command {
	c.ValidArgsFunction = v.topics
	return v.flags(c)
}

func (v *topicVerb) shape(c *cobra.Command, partitions, replicas string) {
	c.Flags().Int32Var(&v.partitions, "partitions", 1, partitions)
	c.Flags().Int32Var(&v.replicas, "replicas", 0, replicas)
	c.Flags().StringArrayVar(&v.set, "set", nil, "a setting, key=value; repeatable")
	complete(c, "set", settings)
}

// settings reads --set, and checks the numbers that were given.
func (v *topicVerb) settings(c *cobra.Command) (map[string]string, error) {
	for _, name := range []string{"partitions", "replicas"} {
		if f := c.Flags().Lookup(name); f.Changed && (f.Value.String() == "0" || strings.HasPrefix(f.Value.String(), "-")) {
			return nil, usagef("--%s %s: want 1 or more", name, f.Value)
		}
	}
	m := map[string]string{}
	for _, kv := range v.set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, usagef("--set %q: want key=value, such as retention.time=7d", kv)
		}
		m[key] = value
	}
	return m, nil
}

func newTopicCreate(s streams) *cobra.Command {
	var v topicVerb
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a topic", Args: cobra.ExactArgs(1),
		Long: `Create a topic. Its settings are:

  durability         fsync (default), or os: acknowledged from the page cache
  retention.time     7d by default, -1 for ever
  retention.bytes    of each partition, no limit by default
  segment.bytes      64MiB by default, 1MiB to 1GiB
  message.bytes.max  of a batch of records, 1MiB by default, up to 4MiB
  cleanup            delete`,
		Example: "  troupe topic create bookings --partitions 6 --set retention.time=30d",
		RunE: func(c *cobra.Command, args []string) error {
			set, err := v.settings(c)
			if err != nil {
				return err
			}
			return v.with(c, func(ctx context.Context, cl *client.Client) error {
				d, err := during(s, "creating "+args[0], func() (codec.TopicDescription, error) {
					return cl.CreateTopic(ctx, codec.CreateTopic{Topic: codec.Topic(args[0]), Partitions: v.partitions, Replicas: v.replicas, Settings: set})
				})
				if err != nil {
					return err
				}
				return printChanged(s.out, v.output, "created", d)
			})
		},
	}
	v.shape(c, "number of partitions", "number of replicas (default: what the cluster can bear, up to 3)")
	return v.flags(c)
}

func newTopicList(s streams) *cobra.Command {
	var v topicVerb
	return v.flags(&cobra.Command{
		Use: "list", Short: "List all topics, with -o json one a line", Example: "  troupe topic list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return v.with(c, func(ctx context.Context, cl *client.Client) error {
				all, err := during(s, "asking for each topic", func() ([]codec.TopicDescription, error) { return describeAll(ctx, cl) })
				if err != nil {
					return err
				}
				return printTopics(s.out, v.output, all)
			})
		},
	})
}

func describeAll(ctx context.Context, cl *client.Client) ([]codec.TopicDescription, error) {
	m, err := cl.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	var all []codec.TopicDescription
	for _, t := range m.Topics {
		d, err := cl.DescribeTopic(ctx, t.Topic)
		if errors.Is(err, codec.E(codec.UnknownTopic)) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func newTopicDescribe(s streams) *cobra.Command {
	var v topicVerb
	return v.named(&cobra.Command{
		Use: "describe NAME", Short: "Show a topic's settings and partitions", Example: "  troupe topic describe bookings -o json", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return v.with(c, func(ctx context.Context, cl *client.Client) error {
				d, err := cl.DescribeTopic(ctx, codec.Topic(args[0]))
				if err != nil {
					return err
				}
				return printTopic(s.out, v.output, d)
			})
		},
	})
}

func newTopicAlter(s streams) *cobra.Command {
	var v topicVerb
	c := &cobra.Command{
		Use: "alter NAME", Short: "Change settings of a topic, or give it more partitions", Args: cobra.ExactArgs(1),
		Long: `Change settings of a topic, or give it more partitions. With more partitions, keys
go to other partitions than before; what is there stays where it is.`,
		Example: "  troupe topic alter bookings --set retention.bytes=10GiB",
		RunE: func(c *cobra.Command, args []string) error {
			set, err := v.settings(c)
			if err != nil {
				return err
			}
			change := codec.AlterTopic{Topic: codec.Topic(args[0]), Replicas: v.replicas, Settings: set}
			if c.Flags().Changed("partitions") {
				change.Partitions = v.partitions
			}
			if change.Partitions == 0 && change.Replicas == 0 && len(set) == 0 {
				return usagef("nothing to change: give --set key=value, --partitions or --replicas; see %s --help", c.CommandPath())
			}
			return v.with(c, func(ctx context.Context, cl *client.Client) error {
				d, err := during(s, "altering "+args[0], func() (codec.TopicDescription, error) { return cl.AlterTopic(ctx, change) })
				if err != nil {
					return err
				}
				return printChanged(s.out, v.output, "altered", d)
			})
		},
	}
	v.shape(c, "new number of partitions; it only grows", "new number of replicas")
	return v.named(c)
}

func newTopicTrim(s streams) *cobra.Command {
	var v topicVerb
	var before string
	var partition int32
	c := &cobra.Command{
		Use: "trim NAME", Short: "Let go of the oldest records of a topic", Args: cobra.ExactArgs(1),
		Long: `Let go of all records before an offset or a time, in every partition or in the
one given. They can no longer be read; whole files of them are deleted.`,
		Example: "  troupe topic trim bookings --before time:2026-01-31T00:00:00Z",
		RunE: func(c *cobra.Command, args []string) error {
			if before == "" {
				return usagef("say what to trim: --before offset:N or --before time:T")
			}
			p, err := parsePosition("before", before, time.Now())
			if err != nil {
				return err
			}
			return v.with(c, func(ctx context.Context, cl *client.Client) error {
				t, err := during(s, "trimming "+args[0], func() (trimmed, error) {
					return trim(ctx, cl, codec.Topic(args[0]), codec.Partition(partition), p)
				})
				if err != nil {
					return err
				}
				return printTrimmed(s.out, v.output, t)
			})
		},
	}
	c.Flags().StringVar(&before, "before", "", "offset:N or time:T: the first record to keep")
	c.Flags().Int32Var(&partition, "partition", allPartitions, "only this partition (default: all)")
	complete(c, "before", v.places("-10m", "-1h", "-1d", "offset:", "time:"))
	complete(c, "partition", v.remote.partitions)
	return v.named(c)
}

// trim finds out for all partitions where to cut before it cuts one.
func trim(ctx context.Context, cl *client.Client, topic codec.Topic, only codec.Partition, p position) (trimmed, error) {
	d, err := cl.DescribeTopic(ctx, topic)
	if err != nil {
		return trimmed{}, err
	}
	parts, err := chosen(d, only)
	if err != nil {
		return trimmed{}, err
	}
	t := trimmed{Topic: topic}
	for _, n := range parts {
		tp := codec.TopicPartition{Topic: topic, Partition: n}
		oldest, newest, err := cl.Offsets(ctx, tp)
		if err != nil {
			return trimmed{}, err
		}
		at, err := p.in(ctx, cl, tp, oldest, newest)
		if err != nil {
			return trimmed{}, err
		}
		t.Partitions = append(t.Partitions, trimmedPartition{n, at})
	}
	for i, part := range t.Partitions {
		start, err := cl.Trim(ctx, codec.TopicPartition{Topic: topic, Partition: part.Partition}, part.Start)
		if err != nil {
			return trimmed{}, err
		}
		t.Partitions[i].Start = start
	}
	return t, nil
}

// allPartitions as a --partition means no choice.
const allPartitions = -1

// chosen are the partitions of a topic that --partition leaves.
func chosen(d codec.TopicDescription, only codec.Partition) ([]codec.Partition, error) {
	var all []codec.Partition
	for _, p := range d.Partitions {
		if only == allPartitions || p.Partition == only {
			all = append(all, p.Partition)
		}
	}
	if len(all) == 0 {
		return nil, codec.Errorf(codec.UnknownPartition, "topic %q has no partition %d: it has %d, counted from 0", d.Topic, only, len(d.Partitions))
	}
	return all, nil
}

func newTopicDelete(s streams) *cobra.Command {
	var v topicVerb
	return v.named(&cobra.Command{
		Use: "delete NAME", Short: "Delete a topic with all its records", Example: "  troupe topic delete bookings", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return v.with(c, func(ctx context.Context, cl *client.Client) error {
				_, err := during(s, "deleting "+args[0], func() (any, error) { return nil, cl.DeleteTopic(ctx, codec.Topic(args[0])) })
				if err != nil {
					return err
				}
				return printDeleted(s.out, v.output, codec.Topic(args[0]))
			})
		},
	})
}
