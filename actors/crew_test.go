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
