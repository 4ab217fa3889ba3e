package world_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
	"github.com/troupe-mq/troupe/simulations/world"
)

// liveRecords is how many records the programs of these tests send to each
// partition, one every liveEvery.
const (
	liveRecords    = 300
	livePartitions = 2
	liveEvery      = 100 * time.Millisecond
)

// TestAProgramOutlivesWhatBrokersSuffer has a producer and a consumer at work
// while something goes wrong: every record is acknowledged, stored once, and
// read once, in its order.
func TestAProgramOutlivesWhatBrokersSuffer(t *testing.T) {
	for _, c := range []struct {
		name   string
		suffer func(*world.Live)
	}{
		{"the leader is killed", func(c *world.Live) {
			lead := c.Leader("numbers", 0)
			c.Kill(lead)
			time.Sleep(5 * time.Second)
			c.Start(lead)
		}},
		{"all are killed in turn", func(c *world.Live) {
			for _, n := range c.Nodes() {
				c.Kill(n)
				time.Sleep(2 * time.Second)
				c.Start(n)
				time.Sleep(5 * time.Second)
			}
		}},
		{"the leader loses its power", func(c *world.Live) {
			lead := c.Leader("numbers", 1)
			c.PowerCut(lead)
			time.Sleep(15 * time.Second)
			c.Start(lead)
		}},
		{"the power is cut", func(c *world.Live) {
			c.PowerCut()
			time.Sleep(5 * time.Second)
			for _, n := range c.Nodes() {
				c.Start(n)
			}
		}},
		{"the leader is cut from the others", func(c *world.Live) {
			lead := c.Leader("numbers", 0)
			for _, n := range c.Nodes() {
				if n != lead {
					c.Cut(lead, n)
				}
			}
			time.Sleep(10 * time.Second)
			c.Heal()
		}},
		{"the leader is cut from the program", func(c *world.Live) {
			c.Cut(c.Leader("numbers", 0), world.Program)
			time.Sleep(10 * time.Second)
			c.Heal()
		}},
		{"the leader is cut from all", func(c *world.Live) {
			c.Isolate(c.Leader("numbers", 0))
			time.Sleep(10 * time.Second)
			c.Heal()
		}},
		{"the leader stands still", func(c *world.Live) {
			lead := c.Leader("numbers", 0)
			c.Pause(lead)
			time.Sleep(10 * time.Second)
			c.Resume(lead)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Test(t, world.Options{Seeds: 3}, func(t *testing.T, cluster *world.Live) { playNumbers(t, cluster, c.suffer) })
		})
	}
}

func playNumbers(t *testing.T, c *world.Live, suffer func(*world.Live)) {
	c.CreateTopic("numbers", livePartitions)
	began := time.Now()
	ends := make(chan error, 2)
	go func() { ends <- produceNumbers(t.Context(), c) }()
	go func() { ends <- consumeNumbers(t.Context(), c) }()
	time.Sleep(5*time.Second + time.Duration(c.Rand("moment").Int64N(int64(time.Second))))
	suffer(c)
	for range 2 {
		assert.NoError(t, <-ends)
	}
	t.Logf("over after %s of virtual time", time.Since(began))
}

// produceNumbers sends 0, 1, 2 and so on to each partition. Its error is the
// first that a record was told.
func produceNumbers(ctx context.Context, c *world.Live) error {
	cl, err := client.Dial(ctx, c.Addresses(), client.Options{Dial: c.Dial})
	if err != nil {
		return err
	}
	defer cl.Close()
	p, err := cl.Producer(ctx, "numbers", client.ProducerOptions{})
	if err != nil {
		return err
	}
	for i := range liveRecords {
		for at := range codec.Partition(livePartitions) {
			if err := p.ProduceTo(ctx, at, codec.Record{Value: []byte(strconv.Itoa(i))}, nil); err != nil {
				return fmt.Errorf("record %d: %w", i, err)
			}
		}
		time.Sleep(liveEvery)
	}
	return p.Close(ctx)
}

// consumeNumbers reads all of them, and looks whether any comes behind them.
func consumeNumbers(ctx context.Context, c *world.Live) error {
	cl, err := client.Dial(ctx, c.Addresses(), client.Options{Dial: c.Dial})
	if err != nil {
		return err
	}
	defer cl.Close()
	n, err := cl.Consumer(ctx, "numbers", client.ConsumerOptions{})
	if err != nil {
		return err
	}
	defer n.Close()
	var next [livePartitions]int
	for {
		done := next == [livePartitions]int{liveRecords, liveRecords}
		wait := 5 * time.Minute
		if done {
			wait = 10 * time.Second
		}
		records, err := pollFor(ctx, n, wait)
		if done && errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read until now %v: %w", next, err)
		}
		for records.Next() {
			at, r := records.Partition(), records.Record()
			if want := next[at]; string(r.Value) != strconv.Itoa(want) || r.Offset != codec.Offset(want) {
				return fmt.Errorf("partition %d has %s at offset %d where %d belongs", at, r.Value, r.Offset, want)
			}
			next[at]++
		}
	}
}

func pollFor(ctx context.Context, n *client.Consumer, wait time.Duration) (*client.Records, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return n.Poll(ctx)
}

// TestALeaderThatIsLostIsReplaced shows that a fault strikes: another node leads
// while the leader is away, and nobody does while most are.
func TestALeaderThatIsLostIsReplaced(t *testing.T) {
	away := []struct {
		name  string
		leave func(*world.Live, codec.NodeID)
		back  func(*world.Live, codec.NodeID)
	}{
		{"killed", (*world.Live).Kill, (*world.Live).Start},
		{"without power", func(c *world.Live, n codec.NodeID) { c.PowerCut(n) }, (*world.Live).Start},
		{"paused", (*world.Live).Pause, (*world.Live).Resume},
		{"cut off", (*world.Live).Isolate, func(c *world.Live, _ codec.NodeID) { c.Heal() }},
	}
	for _, a := range away {
		t.Run(a.name, func(t *testing.T) {
			world.Test(t, world.Options{}, func(t *testing.T, c *world.Live) {
				c.CreateTopic("numbers", 1)
				lost := c.Leader("numbers", 0)
				a.leave(c, lost)
				time.Sleep(20 * time.Second)
				require.NotEqual(t, lost, c.Leader("numbers", 0))
				a.back(c, lost)
				time.Sleep(20 * time.Second)
				require.NoError(t, produceOne(t.Context(), c))
			})
		})
	}
	t.Run("two of three", func(t *testing.T) {
		world.Test(t, world.Options{}, func(t *testing.T, c *world.Live) {
			c.CreateTopic("numbers", 1)
			c.Kill("n1")
			c.Kill("n2")
			require.Error(t, produceOne(t.Context(), c))
		})
	})
}

// produceOne sends a record, for ten seconds.
func produceOne(ctx context.Context, c *world.Live) error {
	cl, err := client.Dial(ctx, c.Addresses(), client.Options{Dial: c.Dial})
	if err != nil {
		return err
	}
	defer cl.Close()
	p, err := cl.Producer(ctx, "numbers", client.ProducerOptions{DeliverWithin: 10 * time.Second})
	if err != nil {
		return err
	}
	return errors.Join(p.Produce(ctx, codec.Record{Value: []byte("one")}, nil), p.Close(ctx))
}
