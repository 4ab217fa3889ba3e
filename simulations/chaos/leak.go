package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// What a broker may hold more after Leak than before.
const (
	// DescriptorsSlack: the runtime opens its poller's descriptors, and pipes,
	// when they are first needed.
	DescriptorsSlack = 4
	// ThreadsSlack: Go never ends a thread that once blocked in a call. The disk
	// port runs up to 64 blocking calls side by side (wal.PoolSize); that many
	// topics are opened and closed side by side, and no more.
	ThreadsSlack = 64 + 8
)

const (
	leakConnections = 50
	leakTopics      = 5
	leakPartitions  = 4
)

// Leak opens and closes many connections and creates, fills and deletes
// topics, o.Rounds times; afterwards the process must hold no more descriptors
// and threads than before, but for the slack above.
func Leak(ctx context.Context, o Options) (before, after Usage, err error) {
	s, err := newStage(ctx, o, nil)
	if err != nil {
		return before, after, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if before, err = ReadUsage(s.broker.PID()); err != nil {
		return before, after, err
	}
	for round := range o.Rounds {
		if err := s.leakOnce(ctx, round); err != nil {
			return before, after, fmt.Errorf("round %d: %w", round, err)
		}
	}
	return s.settled(ctx, before)
}

// settled waits until what was closed is gone: a broker learns of a closed
// connection by itself, and nothing tells us when it has.
func (s *stage) settled(ctx context.Context, before Usage) (_, after Usage, err error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		after, err = ReadUsage(s.broker.PID())
		if err != nil || after.Descriptors <= before.Descriptors+DescriptorsSlack && after.Threads <= before.Threads+ThreadsSlack {
			return before, after, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return before, after, fmt.Errorf("the broker held %d descriptors and %d threads before, and holds %d and %d now", before.Descriptors, before.Threads, after.Descriptors, after.Threads)
		}
	}
}

// leakOnce is one round; on each connection something is asked.
func (s *stage) leakOnce(ctx context.Context, round int) error {
	all := make([]*client.Client, 0, leakConnections)
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for range leakConnections {
		c, err := client.Dial(ctx, []string{s.broker.Address}, client.Options{Name: "chaos-leak"})
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for i := range leakTopics {
		name := codec.Topic(fmt.Sprintf("leak-%d-%d", round, i))
		if _, err := all[i].CreateTopic(ctx, codec.CreateTopic{Topic: name, Partitions: leakPartitions}); err != nil {
			return err
		}
		if err := fillTopic(ctx, all[i+1:], name); err != nil {
			return err
		}
		if err := all[i].DeleteTopic(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func fillTopic(ctx context.Context, all []*client.Client, name codec.Topic) error {
	for i, c := range all {
		p, err := c.Producer(ctx, name, client.ProducerOptions{Linger: -1})
		if err != nil {
			return err
		}
		r := codec.Record{Value: fmt.Appendf(nil, "record %d", i)}
		err = p.ProduceTo(ctx, codec.Partition(i%leakPartitions), r, nil)
		if err = errors.Join(err, p.Close(ctx)); err != nil {
			return err
		}
	}
	return nil
}
