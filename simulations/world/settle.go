package world

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// calmDown ends the faults and starts what is down. Of the rest some seeds start
// all anew, for that is a test too; most do not: what only a new start mends, would
// be mended by it here, and in no cluster of anybody's.
func (c *Cluster) calmDown() {
	c.calm = true
	c.net.Heal()
	c.allTogether()
	all := c.w.Rand("settle").IntN(4) == 0
	for _, n := range c.nodes {
		n.Disk.Inject(nil)
		n.Disk.OnCall(nil)
		n.Disk.SetCapacity(0)
		if n.Up() {
			n.Life.Resume()
			n.Life.Slow(0)
		}
		if n.held {
			continue
		}
		if all || n.failure != nil || n.Life.wounded {
			c.kill(n, Kept)
		}
		c.revive(n)
	}
}

// settle ends the faults, and waits until every log takes records again and every
// replica holds the same; then all of it is read.
func (c *Cluster) settle(within time.Duration) error {
	c.calmDown()
	if err := c.run(c.allStarted, within); err != nil {
		return errors.Join(fmt.Errorf("not all nodes start again: %w", err), c.startFailure())
	}
	if err := c.run(func() bool { return len(c.retiring) == 0 && c.allStarted() }, within); err != nil {
		return fmt.Errorf("nodes do not leave: %w", err)
	}
	if err := c.run(c.voting, within); err != nil {
		return fmt.Errorf("not as many vote on the metadata as can: %w", err)
	}
	for _, log := range c.logs {
		if err := c.oneMore(log, within); err != nil {
			return err
		}
	}
	if err := c.run(c.faithfulIdle, within); err != nil {
		return fmt.Errorf("idempotent producers do not come to an end: %w", err)
	}
	if err := c.run(func() bool { return c.debts.left() == "" }, within); err != nil {
		return fmt.Errorf("%s: %w", c.debts.left(), err)
	}
	if err := c.run(c.unchanging, within); err != nil {
		return fmt.Errorf("changes of replicas do not come to an end: %w", err)
	}
	if err := c.run(c.healed, within); err != nil {
		return fmt.Errorf("damaged replicas are not replaced: %w", err)
	}
	if err := c.run(c.buried, within); err != nil {
		return fmt.Errorf("what was deleted does not go: %w", err)
	}
	if err := c.run(func() bool { return c.tidy() == "" }, within); err != nil {
		return fmt.Errorf("%s: %w", c.tidy(), err)
	}
	for _, log := range c.logs {
		if err := c.converge(log, within); err != nil {
			return err
		}
		if err := c.inSync(log, within); err != nil {
			return err
		}
	}
	c.named()
	c.fail(c.atlas.judge())
	return c.broken
}

// inSync waits until the leader of a log counts those as in sync that are.
func (c *Cluster) inSync(log codec.TopicPartition, within time.Duration) error {
	want := 0 // those that have a replica which is well
	for _, n := range c.nodes {
		if h, err := n.Broker.Partition(log); err == nil && h != nil && !c.atlas.excused(n, log) {
			want++
		}
	}
	got := 0
	err := c.run(func() bool {
		lead, _ := c.leader(log)
		if lead == nil {
			return false
		}
		for _, p := range lead.Broker.Stats().Partitions {
			if p.Name == log {
				got = p.InSync
			}
		}
		return got == want
	}, within)
	if err != nil {
		return fmt.Errorf("the leader of %s counts %d replicas as in sync, %d are: %w", log, got, want, err)
	}
	return nil
}

// run takes steps until the condition holds, or until something is broken for
// good: what the condition says does not matter then.
func (c *Cluster) run(until func() bool, within time.Duration) error {
	err := c.w.Run(func() bool { return c.broken != nil || until() }, within)
	if c.broken != nil {
		return c.broken
	}
	return err
}

// healed says whether every replica that was found to be damaged has another in its
// place, which has everything.
func (c *Cluster) healed() bool { return !c.atlas.healing() && c.unchanging() }

// buried says whether all that was deleted is gone, but on nodes that are refused.
func (c *Cluster) buried() bool {
	for _, n := range c.nodes {
		if !n.Up() || c.atlas.refused(n) {
			continue
		}
		for _, t := range n.Broker.Metadata().Tombstones {
			if !c.atlas.refused(c.net.node(t.Node)) {
				return false
			}
		}
	}
	return true
}

// unchanging says whether every replica is where the metadata wants it, as all
// nodes see it.
func (c *Cluster) unchanging() bool {
	for _, n := range c.nodes {
		if !n.Up() || c.atlas.refused(n) {
			continue
		}
		s := n.Broker.Metadata()
		if s == nil {
			return false
		}
		for _, log := range c.logs {
			if s.Topics[log.Topic].Partitions[log.Partition].Change != 0 {
				return false
			}
		}
	}
	return true
}

// faithfulIdle says whether all that was sent until it is stored is, and whether
// each producer got an id at all.
func (c *Cluster) faithfulIdle() bool {
	for _, f := range c.faithfuls {
		if !f.known || !f.idle() {
			return false
		}
	}
	return true
}

// oneMore has a record acknowledged.
func (c *Cluster) oneMore(log codec.TopicPartition, within time.Duration) error {
	var at []int
	open := false
	acked := func() bool { return len(at) > 0 && c.story.history.Produces[at[0]].Outcome == check.OK }
	err := c.run(func() bool {
		if !open && !acked() {
			open = true
			at = c.produce(log, 1, func() { open = false })
		}
		return acked()
	}, within)
	if err != nil {
		return fmt.Errorf("%s does not take records again: %w", log, err)
	}
	return nil
}
