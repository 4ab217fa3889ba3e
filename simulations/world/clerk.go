package world

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

const (
	clerkNames = 3   // topics that come and go
	clerkMost  = 150 // claims about each: the search for an order is over soon
)

// clerk makes topics and deletes them, by way of any node, and notes what it was
// told.
func (c *Cluster) clerk(name string) {
	chance := c.w.Rand(name)
	claims := map[codec.Topic]int{}
	var next func()
	next = func() {
		if c.calm {
			return
		}
		topic := clerkName(chance.IntN(clerkNames))
		if n := c.any(); n != nil && claims[topic] < clerkMost {
			claims[topic]++
			c.claim(n, topic, chance.IntN(2) == 0)
		}
		c.w.After(time.Duration(20+chance.IntN(700))*time.Millisecond, name, next)
	}
	c.w.After(time.Duration(chance.IntN(500))*time.Millisecond, name, next)
}

func clerkName(i int) codec.Topic { return codec.Topic(fmt.Sprintf("x%d", i)) }

// claim asks one node. Its answer is lost with its process.
func (c *Cluster) claim(n *Node, topic codec.Topic, make bool) {
	at := len(c.claims)
	c.claims = append(c.claims, check.Claim{Name: string(topic), Make: make, Call: c.moment(), Outcome: check.Unknown})
	paid := c.debts.owe(n, c.claims[at].String())
	told := func(err error) {
		one := &c.claims[at]
		if !paid() {
			return
		}
		one.Return = c.moment()
		switch code := codec.CodeOf(err); {
		case code == codec.OK || make && code == codec.UnknownTopic: // it was deleted before it was open
			one.Outcome = check.OK
		case code == codec.TopicExists || code == codec.UnknownTopic:
			one.Outcome, one.Was = check.OK, true
		case code != codec.Unknown && code.Retriable():
			one.Outcome = check.Failed
		case code != codec.Unknown:
			c.fail(fmt.Errorf("%s: %w", one, err))
		}
		c.w.Note("clerk", one.String(), 0)
	}
	if make {
		n.Broker.CreateTopic(codec.CreateTopic{Topic: topic, Partitions: 1, Replicas: int32(c.replicas)}, func(_ codec.TopicDescription, err error) { told(err) })
	} else {
		n.Broker.DeleteTopic(topic, told)
	}
}

// moment is the clock of claims: no two events share one.
func (c *Cluster) moment() int64 {
	c.moments++
	return c.moments
}
