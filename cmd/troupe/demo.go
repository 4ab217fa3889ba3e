package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

func newDemo(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Tell the story of a broker, and of three, inside this program", Args: cobra.NoArgs,
		Long: `Tell the story of a broker, on one that runs inside this program with a temporary
data directory: a system publishes changes to bookings, a second copies them into
its own table, a third sends alerts, an analyst comes later and goes back in time.
Then the broker is closed and started again, and every change is looked for.
Then three brokers found a cluster, the one that leads is killed in the middle of the
same day, a fourth takes its place, and every change is looked for on that one.
Nothing is left behind.`,
		Example: "  troupe demo",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), demoWithin)
			defer cancel()
			return demo(ctx, s.out, newStory(bookingsInStory))
		},
	}
}

const (
	demoWithin      = 25 * time.Second
	demoTopic       = codec.Topic("bookings")
	demoPartitions  = 4
	bookingsInStory = 3000
)

// demo plays a story in a directory of its own, which it removes.
func demo(ctx context.Context, out io.Writer, s *story) (err error) {
	dir, err := os.MkdirTemp("", "troupe-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := &play{out: out, story: s, dir: filepath.Join(dir, "data")}
	p.say("One broker in a directory of its own: %s with %s to come, keyed by booking, over %d partitions.\n\n",
		count(int64(len(s.table)), "booking"), count(int64(len(s.changes)), "change"), demoPartitions)
	if err := p.open(ctx); err != nil {
		return err
	}
	err = errors.Join(p.day(ctx), p.close(ctx))
	if err != nil {
		return err
	}
	if err := p.restart(ctx); err != nil {
		return err
	}
	return p.troupe(ctx, filepath.Join(dir, "cluster"))
}

// play is the broker of a demo and those who work with it.
type play struct {
	out     io.Writer
	story   *story
	dir     string
	broker  *actors.Broker
	gateway *gateway.Server
	address string
	copied  table // what the second system made of the changes
}

func (p *play) say(format string, args ...any) { fmt.Fprintf(p.out, format, args...) }

func (p *play) tell(who, format string, args ...any) {
	p.say("  %-13s %s\n", who, fmt.Sprintf(format, args...))
}

// open starts the broker, and a door for those who come over the network.
func (p *play) open(ctx context.Context) (err error) {
	if p.broker, err = actors.Start(ctx, actors.Config{Dir: p.dir, Node: "n1"}); err != nil {
		return err
	}
	cluster, name := p.broker.Identity()
	identity := gateway.Identity{Cluster: cluster, Node: name, Version: version}
	p.gateway = gateway.New(door{p.broker, identity}, gateway.Options{})
	address, err := p.gateway.Listen("127.0.0.1:0")
	if err != nil {
		return errors.Join(err, p.close(ctx))
	}
	p.address = address.String()
	return nil
}

func (p *play) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(p.gateway.Close(ctx), p.broker.Close(ctx))
}

// day is everything before the broker is closed.
func (p *play) day(ctx context.Context) error {
	created := make(chan error, 1)
	p.broker.CreateTopic(codec.CreateTopic{Topic: demoTopic, Partitions: demoPartitions}, func(_ codec.TopicDescription, err error) { created <- err })
	if err := <-created; err != nil {
		return err
	}
	if err := p.live(ctx); err != nil {
		return err
	}
	return p.analyse(ctx)
}

// live has one system publish while two others listen.
func (p *play) live(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := newStopwatch(len(p.story.changes))
	copier, alerts := make(chan result[table], 1), make(chan result[alerted], 1)
	go func() {
		t, err := p.copyTable(ctx)
		copier <- result[table]{t, err}
	}()
	go func() {
		a, err := p.alert(ctx, watch)
		alerts <- result[alerted]{a, err}
	}()
	err := p.publish(ctx, watch)
	if err != nil {
		cancel() // what they wait for does not come
	}
	c, a := <-copier, <-alerts
	if err := errors.Join(err, c.err, a.err); err != nil {
		return err
	}
	p.copied = c.value
	p.tell("seat map", "copied each change into a table of its own as it came: %s", count(int64(len(c.value)), "booking"))
	p.tellAlerts(a.value)
	return nil
}

type result[T any] struct {
	value T
	err   error
}

// restart opens the directory again and proves that all is there.
func (p *play) restart(ctx context.Context) error {
	begun := time.Now()
	if err := p.open(ctx); err != nil {
		return err
	}
	took := roundly(time.Since(begun))
	err := p.prove(ctx, took)
	return errors.Join(err, p.close(ctx))
}

func (p *play) prove(ctx context.Context, took time.Duration) error {
	p.tell("restart", "the broker was closed and started again on the same directory in %v", took)
	proof := newProof(p.story)
	for n := range codec.Partition(demoPartitions) {
		h, err := p.broker.Partition(codec.TopicPartition{Topic: demoTopic, Partition: n})
		if err != nil {
			return err
		}
		_, end, err := h.Bounds()
		if err != nil {
			return err
		}
		if err := follow(ctx, h, 0, end, func(r *codec.Record) error { proof.see(n, r); return nil }); err != nil {
			return err
		}
	}
	proof.compare("the table copied before the restart", p.copied)
	if err := proof.verdict(); err != nil {
		return err
	}
	p.say("\nProved: all %s are there after the restart, none lost, none doubled, each booking's in order;\nthe copied table equals the source in all %s.\n",
		count(int64(len(p.story.changes)), "change"), count(int64(len(p.story.table)), "booking"))
	return nil
}
