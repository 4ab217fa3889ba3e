package gateway

import (
	"github.com/troupe-mq/troupe/codec"
)

// Administration: each decodes, asks the broker, and answers when it replies.

// metadataTopicsMax is how many names a METADATA may have.
const metadataTopicsMax = 1000

func (c *conn) metadata(r request, e *codec.Envelope) error {
	var q codec.MetadataQuery
	if err := e.Decode(&q); err != nil {
		return err
	}
	if len(q.Topics) > metadataTopicsMax {
		return codec.Errorf(codec.InvalidArgument, "METADATA of %d topics: at most %d are allowed", len(q.Topics), metadataTopicsMax)
	}
	c.made(r, c.server.limits.FrameMax, func() (codec.Message, error) { return metadataOf(c.server.broker, q), nil })
	return nil
}

// metadataOf describes each topic that q names once.
func metadataOf(b Broker, q codec.MetadataQuery) *codec.Metadata {
	id := b.Identity()
	m := &codec.Metadata{Cluster: id.Cluster, Node: id.Node, Nodes: []codec.MetadataNode{{Node: id.Node, Address: id.Address}}}
	for _, n := range b.Nodes() {
		if n.Node != id.Node {
			m.Nodes = append(m.Nodes, n)
		}
	}
	if len(q.Topics) == 0 {
		for _, d := range b.Topics() {
			m.Topics = append(m.Topics, outline(d))
		}
	}
	seen := map[codec.Topic]bool{}
	for _, name := range q.Topics {
		if seen[name] {
			continue
		}
		seen[name] = true
		d, err := b.Topic(name)
		if err != nil {
			m.Topics = append(m.Topics, codec.MetadataTopic{Topic: name, Code: codec.CodeOf(err)})
			continue
		}
		m.Topics = append(m.Topics, outline(d))
	}
	return m
}

// outline is the part of a description that a client needs to find leaders.
func outline(d codec.TopicDescription) codec.MetadataTopic {
	t := codec.MetadataTopic{Topic: d.Topic, ID: d.ID}
	for _, p := range d.Partitions {
		t.Partitions = append(t.Partitions, codec.MetadataPartition{Partition: p.Partition, Leader: p.Leader, Epoch: p.Epoch})
	}
	return t
}

func (c *conn) createTopic(r request, e *codec.Envelope) error {
	var req codec.CreateTopic
	if err := e.Decode(&req); err != nil {
		return err
	}
	if err := codec.CheckTopicName(req.Topic); err != nil {
		return err
	}
	c.server.broker.CreateTopic(req, func(d codec.TopicDescription, err error) { c.reply(r, &d, err) })
	return nil
}

func (c *conn) alterTopic(r request, e *codec.Envelope) error {
	var req codec.AlterTopic
	if err := e.Decode(&req); err != nil {
		return err
	}
	c.server.broker.AlterTopic(req, func(d codec.TopicDescription, err error) { c.reply(r, &d, err) })
	return nil
}

func (c *conn) deleteTopic(r request, e *codec.Envelope) error {
	var req codec.DeleteTopic
	if err := e.Decode(&req); err != nil {
		return err
	}
	c.server.broker.DeleteTopic(req, func(err error) { c.reply(r, codec.Empty{}, err) })
	return nil
}

func (c *conn) describeTopic(r request, e *codec.Envelope) error {
	var req codec.DescribeTopic
	if err := e.Decode(&req); err != nil {
		return err
	}
	c.made(r, c.server.limits.FrameMax, func() (codec.Message, error) {
		d, err := c.server.broker.Topic(req.Topic)
		return &d, err
	})
	return nil
}

func (c *conn) trim(r request, e *codec.Envelope) error {
	var req codec.Trim
	if err := e.Decode(&req); err != nil {
		return err
	}
	c.server.broker.Trim(req.TopicPartition, req.Before, func(start codec.Offset, err error) {
		c.reply(r, &codec.Trimmed{Start: start}, err)
	})
	return nil
}

// offsets looks on disk for a time, so the writer does it.
func (c *conn) offsets(r request, e *codec.Envelope) error {
	var q codec.OffsetsQuery
	if err := e.Decode(&q); err != nil {
		return err
	}
	p, err := c.partition(q.TopicPartition, led)
	if err != nil {
		return err
	}
	c.made(r, 0, func() (codec.Message, error) { return offsetsOf(p, q) })
	return nil
}

func offsetsOf(p Partition, q codec.OffsetsQuery) (*codec.Offsets, error) {
	bounds := p.Bounds
	if d, ok := p.(Distant); ok {
		bounds = d.Ends
	}
	start, high, err := bounds()
	if err != nil {
		return nil, err
	}
	o := &codec.Offsets{Oldest: start, Newest: high, AtTime: high}
	if !q.HasTime {
		return o, nil
	}
	offset, found, err := p.OffsetForTime(q.Time)
	if err != nil {
		return nil, err
	}
	if found {
		o.AtTime, o.Found = offset, true
	}
	return o, nil
}
