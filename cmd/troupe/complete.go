package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// A shell asks for completions by running the command again, hidden. Those
// that only a broker knows are asked of it, with little patience: whoever
// presses Tab does not wait.
const completeWithin = 700 * time.Millisecond

// completer says what may stand where toComplete does.
type completer = cobra.CompletionFunc

// nothing completes what nobody can guess, file names included.
func nothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// words completes one of a few.
func words(all ...string) completer {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

// directories completes a directory.
func directories(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// ask runs do with a client, if a broker answers soon.
func (r *remote) ask(c *cobra.Command, do func(context.Context, *client.Client)) {
	to, err := r.reach(c)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.Context(), completeWithin)
	defer cancel()
	cl, err := to.dial(ctx)
	if err != nil {
		return
	}
	defer cl.Close()
	do(ctx, cl)
}

// topics completes the name of a topic, as the only argument or as a flag.
func (r *remote) topics(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var all []string
	if len(args) == 0 || c.Flags().Lookup("topic") != nil {
		r.ask(c, func(ctx context.Context, cl *client.Client) { all = topicNames(ctx, cl) })
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// topicNames are those of all topics; none when that cannot be found out.
func topicNames(ctx context.Context, cl *client.Client) []string {
	m, err := cl.Metadata(ctx)
	if err != nil {
		return nil
	}
	var all []string
	for _, t := range m.Topics {
		all = append(all, string(t.Topic))
	}
	return all
}

// describe asks for the topic that the command line names.
func (r *remote) describe(c *cobra.Command, args []string) (d codec.TopicDescription) {
	if len(args) > 0 {
		r.ask(c, func(ctx context.Context, cl *client.Client) {
			if got, err := cl.DescribeTopic(ctx, codec.Topic(args[0])); err == nil {
				d = got
			}
		})
	}
	return d
}

// partitions completes the number of a partition of the topic.
func (r *remote) partitions(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var all []string
	for _, p := range r.describe(c, args).Partitions {
		all = append(all, cobra.CompletionWithDesc(fmt.Sprint(p.Partition), count(int64(p.HighWatermark-p.Start), "record")))
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// places completes a place in a topic: one of the words, else an offset that
// is there, or a time that has passed.
func (r *remote) places(these ...string) completer {
	return func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		const order = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		switch {
		case strings.HasPrefix(toComplete, "offset:"):
			return r.offsets(c, args), order
		case strings.HasPrefix(toComplete, "time:"):
			return times(time.Now()), order
		}
		return these, order | cobra.ShellCompDirectiveNoSpace
	}
}

func (r *remote) offsets(c *cobra.Command, args []string) (all []string) {
	for _, p := range r.describe(c, args).Partitions {
		for _, at := range []codec.Offset{p.Start, p.HighWatermark} {
			if s := fmt.Sprintf("offset:%d", at); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// times are the beginnings of the hour, the day and the day before.
func times(now time.Time) (all []string) {
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	for _, t := range []time.Time{now.Truncate(time.Hour), day, day.AddDate(0, 0, -1)} {
		all = append(all, "time:"+t.Format(time.RFC3339))
	}
	return all
}

// settingValues are worth offering for a topic's setting; all of them are
// allowed.
var settingValues = map[string][]string{
	"durability":        {"fsync", "os"},
	"cleanup":           {"delete"},
	"retention.time":    {"7d", "24h", "30d", "-1"},
	"retention.bytes":   {"-1", "1GiB", "10GiB"},
	"segment.bytes":     {"64MiB", "16MiB", "256MiB"},
	"message.bytes.max": {"1MiB", "4MiB"},
}

// settings completes key=value.
func settings(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var all []string
	if key, _, ok := strings.Cut(toComplete, "="); ok {
		for _, v := range settingValues[key] {
			all = append(all, key+"="+v)
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
	for _, key := range sortedKeys(cluster.DefaultSettings().Map()) {
		all = append(all, key+"=")
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// compressions are all there are.
var compressions = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// complete gives a flag its completions.
func complete(c *cobra.Command, flag string, with completer) {
	if err := c.RegisterFlagCompletionFunc(flag, with); err != nil {
		panic("complete: " + err.Error())
	}
}

// completeRest makes flags and arguments that nobody can guess complete to
// nothing: names of files are offered only where a file can stand.
func completeRest(c *cobra.Command) {
	if c.ValidArgsFunction == nil && !c.HasSubCommands() {
		c.ValidArgsFunction = nothing
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, has := c.GetFlagCompletionFunc(f.Name); !has && !slices.Contains(fileFlags, f.Name) {
			complete(c, f.Name, nothing)
		}
	})
	for _, child := range c.Commands() {
		completeRest(child)
	}
}

// fileFlags take the name of a file.
var fileFlags = []string{"config", "hgrm"}
