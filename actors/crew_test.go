package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every turn is taken once, in whatever way turns lead to others; in the end there are no
// hands.
func TestACrewTakesEveryTurn(t *testing.T) {
	c := newCrew()
	var all sync.WaitGroup
	taken := make([]atomic.Int64, 20_000)
	for i := range taken {
		all.Add(1)
		turn := func() {
			defer all.Done()
			taken[i].Add(1)
		}
		if i%2 == 0 {
			c.Schedule(turn)
			continue
		}
		all.Add(1)
		c.Schedule(func() { defer all.Done(); c.Schedule(turn) })
	}
	all.Wait()
	for i := range taken {
		require.EqualValues(t, 1, taken[i].Load(), i)
	}
	for hands := -1; hands != 0; runtime.Gosched() {
		c.mu.Lock()
		hands = c.hands
		c.mu.Unlock()
	}
}

// Turns that wait, against the rules, hold nobody up for ever: whatever is scheduled
// behind them, when nothing has moved for a while, is taken.
func TestACrewThatIsStuckGetsMoreHands(t *testing.T) {
	c := newCrew()
	release := make(chan struct{})
	var stuck sync.WaitGroup
	for range c.most {
		stuck.Add(1)
		c.Schedule(func() { defer stuck.Done(); <-release })
	}
	var behind, later atomic.Bool
	c.Schedule(func() { behind.Store(true) })
	for !behind.Load() || !later.Load() {
		c.Schedule(func() { later.Store(true) })
		runtime.Gosched()
	}
	close(release)
	stuck.Wait()
}

// A turn that was scheduled a moment after the last hand was taken, by turns that wait, is
// taken too when nothing more is scheduled.
func TestACrewThatIsStuckIsLookedAt(t *testing.T) {
	c := newCrew()
	release := make(chan struct{})
	var stuck sync.WaitGroup
	for range c.most {
		stuck.Add(1)
		c.Schedule(func() { defer stuck.Done(); <-release })
	}
	behind := make(chan struct{}, 2*c.most)
	for range c.most {
		stuck.Add(1)
		c.Schedule(func() { defer stuck.Done(); behind <- struct{}{}; <-release })
	}
	for range c.most {
		<-behind
	}
	close(release)
	stuck.Wait()
}

// Where there is always a turn that waits, the list of them keeps its size.
func TestACrewThatIsNeverIdleKeepsItsSize(t *testing.T) {
	c := newCrew()
	c.eyed = true // nobody looks
	for range 100 {
		c.push(func() {})
	}
	for range 100_000 {
		c.push(c.pop())
	}
	require.Len(t, c.turns[c.first:], 100)
	require.Less(t, cap(c.turns), 1000)
}
