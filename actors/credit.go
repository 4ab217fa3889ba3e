package actors

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// credit bounds the bytes of batches that were let in and are not answered.
// Mailboxes are unbounded, so the limit stands here, at the door, where
// callers outside actors may wait.
type credit struct {
	clock Clock

	mu      sync.Mutex
	free    int64
	max     int64
	waiting []*waitingFor // first come, first served
	waits   int64         // takers that had to wait
	refused int64         // of them, those whose time was over first
	waited  codec.Millis  // by all that do not wait any more
}

type waitingFor struct {
	bytes int64
	given chan struct{}
	since codec.Millis
}

func newCredit(max int64, clock Clock) *credit { return &credit{free: max, max: max, clock: clock} }

// take waits for bytes of credit, at most until ctx ends. What is larger than
// the whole counts as the whole.
func (c *credit) take(ctx context.Context, bytes int64) error {
	bytes = min(bytes, c.max)
	c.mu.Lock()
	if len(c.waiting) == 0 && c.free >= bytes {
		c.free -= bytes
		c.mu.Unlock()
		return nil
	}
	w := &waitingFor{bytes, make(chan struct{}), c.clock.Now()}
	c.waits++
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	select {
	case <-w.given:
		return nil
	case <-ctx.Done():
		return c.leave(w, ctx.Err())
	}
}

// takeNow is take for who cannot wait.
func (c *credit) takeNow(bytes int64) error {
	bytes = min(bytes, c.max)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 || c.free < bytes {
		c.refused++
		return codec.Errorf(codec.Overloaded, "%d bytes are in flight, there is no room for %d more", c.max-c.free, bytes)
	}
	c.free -= bytes
	return nil
}

// leave takes w out of the line, or gives back what it was just given.
func (c *credit) leave(w *waitingFor, why error) error {
	c.mu.Lock()
	for i := range c.waiting {
		if c.waiting[i] == w {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			c.refused++
			c.waited += c.clock.Now() - w.since
			c.grant() // those behind it may ask for less
			c.mu.Unlock()
			return codec.Errorf(codec.Overloaded, "%d bytes are in flight, %d more must wait: %v", c.max, w.bytes, why)
		}
	}
	c.mu.Unlock()
	c.give(w.bytes)
	return codec.Errorf(codec.Overloaded, "waited for credit of %d bytes: %v", w.bytes, why)
}

// give returns credit that take gave.
func (c *credit) give(bytes int64) {
	bytes = min(bytes, c.max)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free += bytes
	c.grant()
}

// grant gives what is free to those who wait, in turn.
func (c *credit) grant() {
	for len(c.waiting) > 0 && c.free >= c.waiting[0].bytes {
		c.free -= c.waiting[0].bytes
		c.waited += c.clock.Now() - c.waiting[0].since
		close(c.waiting[0].given)
		c.waiting = c.waiting[1:]
	}
}

// stats are counts since the start.
func (c *credit) stats() CreditStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return CreditStats{
		Free: c.free, Max: c.max, Waiting: len(c.waiting), Waits: c.waits, Refused: c.refused, Waited: time.Duration(c.waited) * time.Millisecond,
	}
}

// inFlight is the credit that is out.
func (c *credit) inFlight() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.max - c.free
}
