package client

import (
	"context"
	"errors"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// leader is a link for requests about a partition: where it is led as far as
// is known, else any.
func (c *Client) leader(ctx context.Context, tp codec.TopicPartition) (*link, error) {
	if address := c.lead(tp); address != "" {
		if l, err := c.link(ctx, []string{address}); err == nil {
			return l, nil
		}
		c.learn(tp, "")
	}
	return c.any(ctx)
}

// open is leader that does not wait: nil when somebody must be dialed.
func (c *Client) open(tp codec.TopicPartition) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address := c.leads[tp]; address != "" {
		return c.live([]string{address})
	}
	return c.live(slices.Concat(c.servers, c.known))
}

func (c *Client) lead(tp codec.TopicPartition) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leads[tp]
}

func (c *Client) learn(tp codec.TopicPartition, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address == "" {
		delete(c.leads, tp)
	} else {
		c.leads[tp] = address
	}
}

// heed takes a hint out of an answer's error and returns the error: an
// address of the leader, or that what is known is old. who is as in refresh.
func (c *Client) heed(tp codec.TopicPartition, err error, who *Producer) error {
	var e *codec.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == codec.NotLeader && e.Leader != "":
		c.learn(tp, e.Leader)
	case e.Code == codec.NotLeader || e.Code == codec.UnknownTopic || e.Code == codec.UnknownPartition:
		c.refresh(tp.Topic, who)
	}
	return err
}

// refresh asks for a topic's metadata beside whatever else goes on, unless it
// is being asked for; who, when it is not nil, is told how many partitions
// there are.
func (c *Client) refresh(topic codec.Topic, who *Producer) {
	c.mu.Lock()
	all, busy := c.asking[topic]
	if !busy || who != nil && !slices.Contains(all, who) {
		c.asking[topic] = append(all, who)
	}
	c.mu.Unlock()
	if busy {
		return
	}
	ok := c.spawn(func() {
		m, err := c.topicMetadata(c.ctx, topic)
		for _, p := range c.asked(topic) {
			if err == nil && p != nil {
				p.grow(len(m.Partitions))
			}
		}
	})
	if !ok {
		c.asked(topic)
	}
}

// asked ends the asking for a topic's metadata; those who wanted to know.
func (c *Client) asked(topic codec.Topic) []*Producer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.asking[topic]
	delete(c.asking, topic)
	return all
}

// topicMetadata asks for a topic's metadata and keeps who leads what.
func (c *Client) topicMetadata(ctx context.Context, topic codec.Topic) (codec.MetadataTopic, error) {
	m, err := c.Metadata(ctx, topic)
	if err != nil {
		return codec.MetadataTopic{}, err
	}
	if len(m.Topics) != 1 || m.Topics[0].Code != codec.OK || len(m.Topics[0].Partitions) == 0 {
		code := codec.UnknownTopic
		if len(m.Topics) == 1 && m.Topics[0].Code != codec.OK {
			code = m.Topics[0].Code
		}
		return codec.MetadataTopic{}, codec.Errorf(code, "topic %q: no partitions", topic)
	}
	c.learnAll(&m)
	return m.Topics[0], nil
}

// know keeps an address as that of a server.
func (c *Client) know(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address != "" && !slices.Contains(c.servers, address) && !slices.Contains(c.known, address) && len(c.known) < knownMax {
		c.known = append(c.known, address)
	}
}

// knownMax bounds the servers that a client knows beside those it was given.
const knownMax = 100

// learnAll keeps the leaders that are not the node that answered: that one is
// reached where it was reached.
func (c *Client) learnAll(m *codec.Metadata) {
	addresses := map[codec.NodeID]string{}
	for _, n := range m.Nodes {
		if n.Node != m.Node {
			addresses[n.Node] = n.Address
		}
		c.know(n.Address)
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			tp := codec.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			c.learn(tp, addresses[p.Leader])
			c.mu.Lock()
			c.leaders[tp] = p.Leader
			c.mu.Unlock()
		}
	}
}
