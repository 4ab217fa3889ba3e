package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
)

// route is where a partition's ready batches go as long as some have no answer: two
// ways would let a later one overtake an earlier.
type route struct {
	link     *link
	inFlight int
}

// singlesBy is the way of the next ready batch, which is counted on it: that of
// those before it, while they have no answer, else to the leader.
func (c *Client) singlesBy(ctx context.Context, tp codec.TopicPartition) (*route, *link, error) {
	if r := c.taken(tp, nil); r != nil {
		return r, r.link, nil
	}
	l, err := c.leader(ctx, tp)
	if err != nil {
		return nil, nil, err
	}
	r := c.taken(tp, l) // another call may have been faster
	return r, r.link, nil
}

// taken counts a batch on the way that is in use; without one, on a new way by l.
func (c *Client) taken(tp codec.TopicPartition, l *link) *route {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.singles[tp]
	if r == nil || r.link.isDead() {
		if l == nil {
			return nil
		}
		r = &route{link: l}
		c.singles[tp] = r
	}
	r.inFlight++
	return r
}

// arrived takes a batch off its way.
func (c *Client) arrived(tp codec.TopicPartition, r *route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.inFlight--; r.inFlight == 0 && c.singles[tp] == r {
		delete(c.singles, tp)
	}
}
