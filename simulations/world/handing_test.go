package world

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// While leadership is handed over, batches that come to the old leader wait for a moment:
// each is stored, or told where to go. Nobody hears that an outcome is not known, or
// that there is no leader, and whoever is sent on can write there at once.
func TestHandingOverLeavesNobodyInDoubt(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			log := c.logs[0]
			old, h := c.leader(log)
			other, _ := c.follower(t, log)
			told, sentOn, stored := 0, 0, 0
			var put func(at *Node, n int)
			put = func(at *Node, n int) {
				var w codec.Builder
				records := c.story.records(&w, log, 1)
				b, err := w.Build(codec.NoCompression)
				require.NoError(t, err)
				h, err := at.Broker.Partition(log)
				require.NoError(t, err)
				answered := func(p codec.Produced, err error) {
					c.story.told(records, p, err)
					if told++; err == nil {
						stored++
						return
					}
					e := err.(*codec.Error)
					require.Equal(t, codec.NotLeader, e.Code, "%v", err)
					require.Equal(t, string(other.name), e.Leader)
					require.Equal(t, old, at, "the new leader takes it")
					sentOn++
					told--
					put(other, 1)
				}
				if err := h.Produce(context.Background(), b, answered); err != nil {
					answered(codec.Produced{}, err)
				}
				if n > 1 {
					c.w.After(time.Millisecond, "the next batch", func() { put(at, n-1) })
				}
			}
			put(old, 50)
			c.w.After(20*time.Millisecond, "hand over", func() { h.Transfer(other.name) })
			require.NoError(t, c.run(func() bool { return told == 50 }, time.Second))
			require.Equal(t, 50, stored)
			require.Positive(t, sentOn)
			require.Equal(t, other, c.leads(log))
		})
	}
}

// A broker that is about to stop hands over to one that lives, though another has died just
// before, or in that moment, which had as much of the log.
func TestHandingOverPassesTheDeadBy(t *testing.T) {
	for seed := range uint64(20) {
		for before, name := range map[time.Duration]string{30 * time.Millisecond: "before", 0: "in that moment"} {
			t.Run(fmt.Sprint(seed, " ", name), func(t *testing.T) {
				c := three(t, seed)
				log := c.logs[0]
				old, _ := c.leader(log)
				dies := c.nodes[(slices.Index(c.nodes, old)+1+int(seed%2))%3]
				c.kill(dies, Kept)
				require.NoError(t, c.w.RunFor(before))
				old.Broker.HandOver(func() {})
				require.NoError(t, c.run(func() bool { n := c.leads(log); return n != nil && n != old && n != dies }, 300*time.Millisecond))
			})
		}
	}
}

// One that was restarted in the meantime lives, though nothing was written since.
func TestHandingOverGoesToWhoCameBack(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			log := c.logs[0]
			old, _ := c.leader(log)
			at := slices.Index(c.nodes, old)
			lives, dies := c.nodes[(at+1+int(seed%2))%3], c.nodes[(at+2-int(seed%2))%3]
			c.kill(lives, Kept)
			require.NoError(t, c.w.RunFor(500*time.Millisecond))
			c.revive(lives)
			require.NoError(t, c.run(c.allStarted, time.Minute))
			require.NoError(t, c.w.RunFor(5*time.Second))
			require.Equal(t, old.name, c.leads(log).name)
			c.kill(dies, Kept)
			require.NoError(t, c.w.RunFor(30*time.Millisecond))
			old.Broker.HandOver(func() {})
			require.NoError(t, c.run(func() bool { return c.leads(log) == lives }, 300*time.Millisecond))
		})
	}
}

// Leadership that somebody wanted at a broker stays where it is when that one ends on the
// way, and what waited goes on.
func TestAHandOverEndsWithWhoItGoesTo(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			log := c.logs[0]
			_, h := c.leader(log)
			dies, _ := c.follower(t, log)
			h.Transfer(dies.name)
			c.kill(dies, Kept)
			require.NoError(t, c.w.RunFor(30*time.Millisecond))
			require.NoError(t, c.oneMore(log, 300*time.Millisecond))
		})
	}
}

// Two followers of a leader that has ended may stand at once and take each other's votes.
// They stand again, long before an election timeout would have them do so.
func TestTwoThatStandAtOnceStandAgain(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			old := c.leads(c.logs[0])
			for _, n := range c.nodes { // votes take a while
				n.Life.Slow(30 * time.Millisecond)
			}
			c.kill(old, Kept)
			led := func() bool {
				for _, log := range c.logs {
					if n := c.leads(log); n == nil || n == old {
						return false
					}
				}
				return true
			}
			require.NoError(t, c.run(led, 1200*time.Millisecond))
		})
	}
}

// On disks that are slow, a candidate does not give up again and again what it has only
// begun: half of the leaders are there within ten writes.
func TestACandidacyIsNotGivenUpForASlowDisk(t *testing.T) {
	var took []time.Duration
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			old := c.leads(c.logs[0])
			for _, n := range c.nodes {
				n.Life.Slow(80 * time.Millisecond)
			}
			begun := c.w.Elapsed()
			c.kill(old, Kept)
			led := func() bool {
				for _, log := range c.logs {
					if n := c.leads(log); n == nil || n == old {
						return false
					}
				}
				return true
			}
			require.NoError(t, c.run(led, 4*time.Second))
			took = append(took, c.w.Elapsed()-begun)
		})
	}
	slices.Sort(took)
	require.Less(t, took[len(took)/2], 800*time.Millisecond)
}
