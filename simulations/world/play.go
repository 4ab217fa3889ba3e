package world

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// worldBegins is the time at which every world begins: some day in 2023.
const worldBegins = 1_700_000_000_000

// settleWithin is how long it may take until all is well again once the faults
// are over.
const settleWithin = 2 * time.Minute

// Outcome is what came of one play.
type Outcome struct {
	Seed       uint64
	Hash       string
	Plan       scenario.Scenario // what was played
	Steps      uint64
	Virtual    time.Duration
	Acked      int
	Unknown    int
	Failed     int
	Read       int
	Kills      int
	Repeats    int            // batches that idempotent producers sent again
	Struck     map[string]int // faults, by verb
	Letters    int
	Seen       map[actors.Seen]int // rare paths that were taken
	Undecided  int                 // searches for a linear order that took too long
	Violations []check.Violation
}

// PlanChance is what the plan of a run with seed is drawn from.
func PlanChance(seed uint64) *rand.Rand { return stream(seed, "plan") }

// Play plays a scenario with a seed. trace, when given, gets a line a step. The
// error is a violation of what no history shows: a node that does not start
// again, replicas that stay different, a livelock.
func Play(s scenario.Scenario, seed uint64, trace io.Writer) (o Outcome, err error) {
	w := New(seed, worldBegins)
	defer w.Close()
	if trace != nil {
		w.TraceTo(trace)
	}
	c, err := newCluster(w, s.Nodes)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	o.Seed, o.Plan = seed, s.Plan(PlanChance(seed))
	err = c.play(o.Plan)
	for what, n := range map[string]int{"letters lost": c.net.Lost, "letters doubled": c.net.Doubled, "letters overtaken": c.net.Swapped, "letters garbled": c.net.Garbled} {
		if n > 0 {
			c.struck[what] = n
		}
	}
	o.Hash, o.Steps, o.Virtual, o.Kills, o.Struck, o.Letters = w.Hash(), w.Steps(), w.Elapsed(), c.kills, c.struck, c.net.Sent
	o.Seen = c.seen
	o.Acked, o.Unknown, o.Failed, o.Read, o.Repeats = c.story.acked, c.story.unknown, c.story.failed, c.story.read, c.repeats
	if err != nil {
		return o, fmt.Errorf("seed %d: %w", seed, err)
	}
	o.Violations, err = c.judge(seed)
	o.Undecided = c.undecided
	if err != nil {
		return o, fmt.Errorf("seed %d: %w", seed, err)
	}
	return o, nil
}

func (c *Cluster) play(plan scenario.Scenario) error {
	if err := c.found(); err != nil {
		return err
	}
	for _, t := range plan.Topics {
		if err := c.createTopic(codec.Topic(t.Name), t.Partitions, t.Replicas, t.Settings); err != nil {
			return err
		}
	}
	for i := range plan.Load.Producers {
		c.producer(fmt.Sprintf("producer %d", i))
	}
	for i := range plan.Load.Idempotent {
		c.faithful(fmt.Sprintf("faithful producer %d", i))
	}
	for i := range plan.Load.Readers {
		c.reader(fmt.Sprintf("reader %d", i))
	}
	c.clerk("clerk")
	for _, f := range plan.Faults {
		c.w.After(f.At, "nemesis", func() {
			if !c.calm {
				c.strike(f)
			}
		})
	}
	end := c.w.Elapsed() + plan.Lasts
	c.w.After(plan.Lasts, "nemesis", func() {})
	if err := c.run(func() bool { return c.w.Elapsed() >= end }, 2*plan.Lasts); err != nil {
		return err
	}
	return c.settle(settleWithin)
}
