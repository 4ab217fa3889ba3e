package gateway

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// vigil is a wait at the end of a log, which may be begun again when it was
// ended. While it lasts it is in conn.vigils.
type vigil struct {
	conn    *conn
	over    func() // what the end leads to; called without conn.mu
	waiting bool   // below conn.mu, as all that follows
	round   int    // how often it was begun
	cancel  func() // nil until this round's Await has returned
}

// await waits for the watermark of from to pass high, or for wait to pass. By
// the time Await returns the vigil may have ended, and even have begun anew.
func (v *vigil) await(from Partition, high codec.Offset, wait time.Duration) {
	c := v.conn
	c.mu.Lock()
	v.round++
	round := v.round
	v.waiting, v.cancel = true, nil
	if c.vigils == nil {
		c.vigils = map[*vigil]struct{}{}
	}
	c.vigils[v] = struct{}{}
	c.mu.Unlock()
	cancel := from.Await(high, max(0, wait), v.end)
	c.mu.Lock()
	waits := v.waiting && v.round == round
	if waits {
		v.cancel = cancel
	}
	ended := c.draining || c.dead
	c.mu.Unlock()
	if !waits || ended {
		cancel()
	}
	if waits && ended {
		v.end()
	}
}

// end ends the wait, once.
func (v *vigil) end() {
	v.conn.mu.Lock()
	waiting := v.waiting
	v.waiting = false
	delete(v.conn.vigils, v)
	v.conn.mu.Unlock()
	if waiting {
		v.over()
	}
}

// endVigils ends all waits of a connection.
func (c *conn) endVigils() {
	c.mu.Lock()
	all := make([]*vigil, 0, len(c.vigils))
	for v := range c.vigils {
		all = append(all, v)
	}
	c.mu.Unlock()
	for _, v := range all {
		c.leave(v)
	}
}

// leave ends one wait and tells the partition not to mind it.
func (c *conn) leave(v *vigil) {
	c.mu.Lock()
	cancel := v.cancel
	v.cancel = nil
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	v.end()
}
