package world

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// clientWaits is how long a client waits for an answer before it gives the
// connection up.
const clientWaits = 2 * time.Second

// errNobody is what a client learns that finds no leader.
var errNobody = codec.Errorf(codec.Unavailable, "no leader is known")

// produce sends one batch to whoever leads the log; done is called when its
// outcome is known, or never will be. at is where its records stand in the history.
func (c *Cluster) produce(log codec.TopicPartition, records int, done func()) (at []int) {
	var b codec.Builder
	at = c.story.records(&b, log, records)
	p, err := b.Build(codec.NoCompression)
	if err != nil {
		panic("world: build a batch: " + err.Error())
	}
	c.send(log, append(codec.Batch(nil), p...), func(p codec.Produced, err error) {
		c.story.told(at, p, err)
		c.suspicious("produce", err)
		done()
	}, func() {
		c.story.forgotten(at)
		done()
	})
	return at
}

// send hands a batch over, as a client with its own connection does: reply is
// its answer, lost the end of the connection. One of them is called, once.
func (c *Cluster) send(log codec.TopicPartition, b codec.Batch, reply func(codec.Produced, error), lost func()) {
	node, h := c.leader(log)
	if c.chance.IntN(5) == 0 { // by an old route: to whoever says that it leads
		node, h = c.claimant(log)
	}
	if node == nil {
		node = c.any()
		if node != nil {
			h, _ = node.Broker.Partition(log)
		}
	}
	if h == nil {
		c.w.After(time.Millisecond, "client", func() { reply(codec.Produced{}, errNobody) })
		return
	}
	life, over := node.Life, false
	once := func(f func()) {
		if !over {
			over = true
			f()
		}
	}
	node.Life.OnKill(func() { once(lost) })
	c.w.After(clientWaits, "client", func() { once(lost) })
	if c.chance.IntN(50) == 0 { // the connection breaks, while the batch is on its way or being stored
		c.w.After(time.Duration(c.chance.Int64N(int64(10*time.Millisecond))), "client", func() { once(lost) })
		if c.chance.IntN(2) == 0 {
			return // it never came there
		}
	}
	paid := c.debts.owe(node, "a batch to "+log.String())
	err := h.Produce(context.Background(), b, func(p codec.Produced, err error) {
		if !paid() {
			return
		}
		if err == nil { // the memory is its owner's again, who writes something else there
			for i := range b {
				b[i] = 0xdb
			}
		}
		// The answer travels.
		c.w.After(wayLeast, "client", func() {
			if !life.dead {
				once(func() { reply(p, err) })
			}
		})
	})
	if err != nil {
		paid()
		c.w.After(wayLeast, "client", func() { once(func() { reply(codec.Produced{}, err) }) })
	}
}

// claimant is any of those that say they lead a log.
func (c *Cluster) claimant(log codec.TopicPartition) (node *Node, h *actors.Handle) {
	for _, n := range c.shuffled() {
		if !n.Up() {
			continue
		}
		if one, err := n.Broker.Partition(log); err == nil {
			if leads, _ := one.Leads(); leads {
				return n, one
			}
		}
	}
	return nil, nil
}

// suspicious keeps an error that no fault explains.
func (c *Cluster) suspicious(what string, err error) {
	if code := codec.CodeOf(err); code == codec.CorruptLog || code == codec.Internal {
		c.fail(fmt.Errorf("%s: %w", what, err))
	}
}

// producer sends a batch now and then, whatever becomes of those before.
func (c *Cluster) producer(name string) {
	c.w.After(time.Duration(1+c.chance.IntN(150))*time.Millisecond, name, func() {
		if c.calm {
			return
		}
		c.produce(c.logs[c.chance.IntN(len(c.logs))], 1+c.chance.IntN(5), func() {})
		c.producer(name)
	})
}

// reader reads one log, from any replica, again and again: from a random place on,
// or from where it has come to, at whatever replica that was.
func (c *Cluster) reader(name string) { c.readOn(name, map[codec.TopicPartition]*place{}) }

// place is where a reader has come to in a log.
type place struct {
	session string
	next    codec.Offset
}

func (c *Cluster) readOn(name string, places map[codec.TopicPartition]*place) {
	c.w.After(time.Duration(1+c.chance.IntN(300))*time.Millisecond, name, func() {
		if c.calm {
			return
		}
		log := c.logs[c.chance.IntN(len(c.logs))]
		if n := c.any(); n != nil {
			if h, err := n.Broker.Partition(log); err == nil {
				if unlessHung(func() { c.readSome(n, h, log, name, places) }) {
					delete(places, log) // some of it was read
				}
			}
		}
		c.readOn(name, places)
	})
}

func (c *Cluster) readSome(n *Node, h *actors.Handle, log codec.TopicPartition, name string, places map[codec.TopicPartition]*place) {
	start, high, err := h.Bounds()
	c.look(n)
	if err == nil {
		c.bounds(n, log, start, high)
	}
	if err != nil || high <= start { // just behind a snapshot the start may lie above
		return
	}
	p := places[log]
	if p == nil || p.next < start || c.chance.IntN(3) == 0 {
		p = &place{c.story.newSession(name), start + codec.Offset(c.chance.Int64N(int64(high-start)))}
		places[log] = p
	}
	// This replica may be behind where another was: then there is nothing yet.
	if p.next > high {
		if _, err := h.Read(nil, p.next, readAtOnce); errors.Is(err, codec.E(codec.OffsetOutOfRange)) {
			c.fail(fmt.Errorf("%s at %s has read all below %d, and is told: %w", p.session, n.Name(), p.next, err))
		}
		return
	}
	if p.next, err = c.readAll(h, log, p.session, p.next, min(high, p.next+readAtOnce)); err != nil {
		delete(places, log)
	}
	if !errors.Is(err, codec.E(codec.OffsetOutOfRange)) {
		c.suspicious("read", err)
	}
}
