package actors

import (
	"runtime"
	"sync"
	"time"
)

// crew runs the turns of actors in the real world. protoactor's own way is a goroutine
// for each waking: when a tick wakes a thousand actors, most of what it costs is that
// each goroutine's stack has to grow. A hand of the crew goes on with the next turn that
// waits, and ends when none does, so an idle broker has none.
//
// Turns do not wait for anything. Should some do, against the rules, the others are not
// held up for long: when nothing has moved for stuckAfter, there are more hands.
type crew struct {
	most int // hands, as long as they move

	mu    sync.Mutex
	hands int
	turns []func() // that wait, from the first on
	first int
	moved time.Time // when a hand last took a turn
	eyed  bool      // somebody looks soon whether the hands move
}

// crewThroughput is how many messages an actor takes before others may run, as
// protoactor has it.
const crewThroughput = 300

const stuckAfter = 10 * time.Millisecond

func newCrew() *crew { return &crew{most: 8 * runtime.GOMAXPROCS(0)} }

// Throughput implements protoactor's Dispatcher.
func (c *crew) Throughput() int { return crewThroughput }

// Schedule implements protoactor's Dispatcher: it has a turn run, and does not wait.
func (c *crew) Schedule(turn func()) {
	c.mu.Lock()
	if c.hands >= c.most && time.Since(c.moved) < stuckAfter {
		c.push(turn)
		c.mu.Unlock()
		return
	}
	c.hands++
	c.moved = time.Now()
	c.mu.Unlock()
	go c.work(turn)
}

func (c *crew) work(turn func()) {
	for turn != nil {
		turn()
		turn = c.next()
	}
}

// push has a turn wait. There may always be one that does: so the room of those before
// them is used again.
func (c *crew) push(turn func()) {
	if n := len(c.turns); n == cap(c.turns) && c.first > n/2 {
		left := copy(c.turns, c.turns[c.first:])
		clear(c.turns[left:])
		c.turns, c.first = c.turns[:left], 0
	}
	c.turns = append(c.turns, turn)
	if !c.eyed {
		c.eyed = true
		time.AfterFunc(stuckAfter, c.look)
	}
}

// look takes a turn that waits when the hands do not move, and looks again while any
// does: perhaps nothing more is scheduled before that.
func (c *crew) look() {
	c.mu.Lock()
	if c.eyed = c.first < len(c.turns); c.eyed {
		time.AfterFunc(stuckAfter, c.look)
	}
	if !c.eyed || time.Since(c.moved) < stuckAfter {
		c.mu.Unlock()
		return
	}
	c.hands++
	turn := c.pop()
	c.mu.Unlock()
	c.work(turn)
}

// next is a turn that waits; nil when there is none, and one hand less.
func (c *crew) next() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == len(c.turns) {
		c.hands--
		return nil
	}
	return c.pop()
}

// pop takes out the first turn that waits.
func (c *crew) pop() func() {
	turn := c.turns[c.first]
	c.turns[c.first] = nil
	c.moved = time.Now()
	if c.first++; c.first == len(c.turns) {
		c.turns, c.first = c.turns[:0], 0
	}
	return turn
}
