package world_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
	"github.com/troupe-mq/troupe/simulations/world"
)

// tally is what the program under test makes of the votes: a sum for each name,
// and the positions up to which they are in it. Both are stored together, as in
// one transaction of a database.
type tally struct {
	votes     map[string]int
	positions map[codec.Partition]codec.Offset
}

// count is the program under test: it adds up votes, from where the tally stands
// until ctx ends.
func count(ctx context.Context, servers []string, o client.Options, t *tally) error {
	c, err := client.Dial(ctx, servers, o)
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := c.Consumer(ctx, "votes", client.ConsumerOptions{Positions: t.positions})
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Run(ctx, func(_ context.Context, records *client.Records) error {
		votes := maps.Clone(t.votes)
		for records.Next() {
			votes[string(records.Record().Key)]++
		}
		t.votes, t.positions = votes, n.Positions()
		return nil
	})
}

// candidates are those who are voted for.
var candidates = []string{"ape", "bee", "cat"}

// vote sends the votes: one for each candidate, every second for a minute.
func vote(ctx context.Context, servers []string, o client.Options) error {
	c, err := client.Dial(ctx, servers, o)
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := c.Producer(ctx, "votes", client.ProducerOptions{})
	if err != nil {
		return err
	}
	for range 60 {
		for _, name := range candidates {
			if err := p.Produce(ctx, codec.Record{Key: []byte(name)}, nil); err != nil {
				return err
			}
		}
		time.Sleep(time.Second) // virtual: it costs nothing
	}
	return p.Close(ctx)
}

// votesAreCounted is the test. Votes are sent and counted; the program is started
// anew after 25 s. The broker that leads a partition dies before, and comes back
// half a minute later.
func votesAreCounted(t *testing.T, cluster *world.Live) {
	ctx, o := t.Context(), client.Options{Dial: cluster.Dial}
	cluster.CreateTopic("votes", 4)
	began := time.Now()

	voted := make(chan error, 1)
	go func() { voted <- vote(ctx, cluster.Addresses(), o) }()

	counted := tally{votes: map[string]int{}}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, runs := range []time.Duration{25 * time.Second, 45 * time.Second} {
			ctx, cancel := context.WithTimeout(ctx, runs)
			if err := count(ctx, cluster.Addresses(), o, &counted); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the program ended: %v", err)
			}
			cancel()
		}
	}()

	time.Sleep(20 * time.Second)
	lost := cluster.Leader("votes", 0)
	cluster.Kill(lost)
	time.Sleep(30 * time.Second)
	cluster.Start(lost)

	<-over
	if err := <-voted; err != nil {
		t.Errorf("votes were not stored: %v", err)
	}
	for _, name := range candidates {
		if n := counted.votes[name]; n != 60 {
			t.Errorf("%s has %d votes of 60", name, n)
		}
	}
	fmt.Println(time.Since(began).Round(time.Second), "of virtual time, counted:", counted.votes)
}

// A program that adds up votes is tested against the loss of a broker. In a test
// file of your own this is
//
//	func TestVotesAreCounted(t *testing.T) {
//		world.Test(t, world.Options{Seeds: 20}, votesAreCounted)
//	}
//
// An Example has no *testing.T, so this one borrows one.
func ExampleTest() {
	borrow(func(t *testing.T) {
		world.Test(t, world.Options{}, votesAreCounted)
	})
	// Output: 1m10s of virtual time, counted: map[ape:60 bee:60 cat:60]
}
