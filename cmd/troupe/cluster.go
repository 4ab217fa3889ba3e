package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

func newCluster(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "cluster", Short: "Look at a cluster, move replicas, and remove a broker", Args: cobra.NoArgs,
		Example: "  troupe cluster status\n  troupe cluster move bookings/0 --from n3 --to n4\n  troupe cluster remove n3",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newClusterStatus(s), newClusterNodes(s), newClusterMove(s), newClusterRemove(s))
	return c
}

// errUnwell is the exit code 1 of a status that says more itself.
var errUnwell = errors.New("the cluster needs somebody")

func newClusterStatus(s streams) *cobra.Command {
	var r remote
	var output string
	c := &cobra.Command{
		Use: "status", Short: "Say what is wrong, and what to do", Args: cobra.NoArgs, Example: "  troupe cluster status --server n1:9650,n2:9650",
		Long: `Ask every broker how it is, and say what is wrong in sentences. The exit code is 0
when nothing is, and 1 when somebody has to do something.`,
		RunE: func(c *cobra.Command, _ []string) error {
			status, err := askCluster(c, &r)
			if err != nil {
				return err
			}
			if err := showCluster(s, output, status); err != nil {
				return err
			}
			if status.wrong {
				return errUnwell
			}
			return nil
		},
	}
	r.flag(c)
	outputFlag(c, &output)
	return c
}

func newClusterNodes(s streams) *cobra.Command {
	var r remote
	var output string
	c := &cobra.Command{
		Use: "nodes", Short: "List the brokers of the cluster, with -o json one a line", Args: cobra.NoArgs, Example: "  troupe cluster nodes",
		RunE: func(c *cobra.Command, _ []string) error {
			status, err := askCluster(c, &r)
			if err != nil {
				return err
			}
			if output != "json" {
				return showNodes(s, status)
			}
			for _, n := range status.Nodes {
				if err := json.NewEncoder(s.out).Encode(n); err != nil {
					return err
				}
			}
			return nil
		},
	}
	r.flag(c)
	outputFlag(c, &output)
	return c
}

func newClusterRemove(s streams) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "remove NODE", Short: "Have a broker leave the cluster for good", Args: cobra.ExactArgs(1), Example: "  troupe cluster remove n3",
		Long: `Have a broker leave the cluster for good. It must have no replica of a topic any
more. Its data directory never comes back; its name may, with an empty one.`,
		RunE: func(c *cobra.Command, args []string) error {
			return r.with(c, func(ctx context.Context, cl *client.Client) error {
				node := codec.NodeID(args[0])
				if err := cl.RemoveNode(ctx, node); err != nil {
					return err
				}
				return tell(s, "%s is being removed; it is gone when troupe cluster nodes does not list it\n", node)
			})
		},
	}
	r.flag(c)
	return c
}

// viewWithin is how long a broker may take to answer at all; topicsWithin then to
// tell of all topics.
const (
	viewWithin   = 3 * time.Second
	topicsWithin = time.Minute
)

// askCluster asks one broker of --server, then all of which it tells.
func askCluster(c *cobra.Command, r *remote) (status clusterStatus, err error) {
	to, err := r.reach(c)
	if err != nil {
		return status, err
	}
	err = r.with(c, func(ctx context.Context, cl *client.Client) error {
		first, err := look(ctx, ctx, cl)
		if err != nil {
			return err
		}
		said, silent := askNodes(ctx, to, first)
		status = judge(first.view.Node, said, silent)
		return nil
	})
	return status, err
}

// askNodes asks the others that a broker names, side by side.
func askNodes(ctx context.Context, to reach, first seen) (said map[codec.NodeID]seen, silent map[codec.NodeID]string) {
	said, silent = map[codec.NodeID]seen{first.view.Node: first}, map[codec.NodeID]string{}
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, n := range first.view.Nodes {
		if n.Node == first.view.Node || n.Address == "" {
			continue
		}
		running.Go(func() {
			got, err := lookAt(ctx, to.at(n.Address))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				silent[n.Node] = oneLine(err)
			case got.view.Node != n.Node:
				silent[n.Node] = fmt.Sprintf("broker %s is at its address %s", got.view.Node, n.Address)
			default:
				said[n.Node] = got
			}
		})
	}
	running.Wait()
	return said, silent
}

func lookAt(ctx context.Context, to reach) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, topicsWithin)
	defer cancel()
	soon, done := context.WithTimeout(ctx, viewWithin)
	defer done()
	cl, err := to.dial(soon)
	if err != nil {
		return seen{}, err
	}
	defer cl.Close()
	return look(soon, ctx, cl)
}

// look asks a broker how it is, which it is to answer soon, and for all topics.
func look(soon, ctx context.Context, cl *client.Client) (s seen, err error) {
	if s.view, err = cl.Cluster(soon); err != nil {
		return s, err
	}
	s.topics, err = describeAll(ctx, cl)
	return s, err
}

func showCluster(s streams, output string, c clusterStatus) error {
	if output == "json" {
		return json.NewEncoder(s.out).Encode(c)
	}
	for _, says := range c.Says {
		if err := tell(s, "%s\n", says); err != nil {
			return err
		}
	}
	if err := tell(s, "\ncluster %s, metadata led by %s, votes of %s; %s, %d without a leader, %d short of copies\n\n", c.Cluster, orNobodyYet(c.Controller), names(c.voters),
		plural(c.Partitions.Total, "partition", "partitions"), c.Partitions.Leaderless, c.Partitions.UnderReplicated); err != nil {
		return err
	}
	return showNodes(s, c)
}

func orNobodyYet(n codec.NodeID) codec.NodeID {
	if n == "" {
		return "nobody"
	}
	return n
}

func showNodes(s streams, c clusterStatus) error {
	rows := [][]any{{"NODE", "STATE", "CLIENTS", "LINK", "RACK", "VOTES", "LEADS", "REPLICAS", "BYTES"}}
	for _, n := range c.Nodes {
		vote := "no"
		if n.Votes {
			vote = "yes"
		}
		rows = append(rows, []any{n.Node, n.State, dash(n.Address), dash(n.Link), dash(n.Rack), vote, n.Leaders, n.Replicas, n.Bytes})
	}
	return columns(s.out, rows...)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
