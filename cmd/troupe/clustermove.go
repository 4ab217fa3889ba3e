package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// clusterMove is what `cluster move` was told.
type clusterMove struct{ from, to string }

func newClusterMove(s streams) *cobra.Command {
	var r remote
	var m clusterMove
	c := &cobra.Command{
		Use: "move TOPIC/PARTITION", Short: "Move a replica from one broker to another", Args: cobra.ExactArgs(1),
		Example: "  troupe cluster move bookings/0 --from n3 --to n4",
		Long: `Move a replica of a partition from one broker to another. It is done when the log
has been copied: then troupe topic describe shows the new replica IN SYNC, and troupe
cluster status lacks none. The broker that it goes away from may be dead. With --to alone the partition gets a replica more, with
--from alone one less.`,
		RunE: func(c *cobra.Command, args []string) error {
			tp, err := parsePartition(args[0])
			if err != nil {
				return err
			}
			if m.from == "" && m.to == "" {
				return usagef("--from and --to are missing: say from which broker, and to which")
			}
			return r.with(c, func(ctx context.Context, cl *client.Client) error { return m.do(ctx, s, cl, tp) })
		},
	}
	c.Flags().StringVar(&m.from, "from", "", "broker that has a replica now")
	c.Flags().StringVar(&m.to, "to", "", "broker that is to have one")
	r.flag(c)
	return c
}

// parsePartition reads TOPIC/PARTITION.
func parsePartition(text string) (tp codec.TopicPartition, err error) {
	at := strings.LastIndexByte(text, '/')
	n := -1
	if at > 0 {
		n, err = strconv.Atoi(text[at+1:])
	}
	if at <= 0 || err != nil || n < 0 {
		return tp, usagef("%q: want TOPIC/PARTITION, such as bookings/0", text)
	}
	return codec.TopicPartition{Topic: codec.Topic(text[:at]), Partition: codec.Partition(n)}, nil
}

func (m clusterMove) do(ctx context.Context, s streams, cl *client.Client, tp codec.TopicPartition) error {
	d, err := cl.DescribeTopic(ctx, tp.Topic)
	if err != nil {
		return err
	}
	if int(tp.Partition) >= len(d.Partitions) {
		return codec.Errorf(codec.UnknownPartition, "topic %q has no partition %d: it has %d, counted from 0", tp.Topic, tp.Partition, len(d.Partitions))
	}
	nodes, err := m.moved(tp, d.Partitions[tp.Partition].Replicas)
	if err != nil {
		return err
	}
	if err := cl.ChangeReplicas(ctx, tp, nodes); err != nil {
		return err
	}
	return tell(s, "%s is going to be on %v: it is when troupe topic describe %s shows them in sync\n", tp, nodes, tp.Topic)
}

// moved is where replicas are to be. One that takes another's place takes its rank
// too, so that who was to lead still is.
func (m clusterMove) moved(tp codec.TopicPartition, now []codec.NodeID) ([]codec.NodeID, error) {
	from, to := codec.NodeID(m.from), codec.NodeID(m.to)
	at := slices.Index(now, from)
	switch {
	case from != "" && at < 0:
		return nil, fmt.Errorf("%s has no replica on %q: they are on %v", tp, from, now)
	case to != "" && slices.Contains(now, to):
		return nil, fmt.Errorf("%s has a replica on %q already: they are on %v", tp, to, now)
	}
	next := slices.Clone(now)
	switch {
	case from == "":
		return append(next, to), nil
	case to == "":
		return slices.Delete(next, at, at+1), nil
	}
	next[at] = to
	return next, nil
}
