package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
)

// Metadata is where topics and their leaders are; no names = all topics.
func (c *Client) Metadata(ctx context.Context, topics ...codec.Topic) (codec.Metadata, error) {
	var m codec.Metadata
	err := c.read(ctx, codec.TopicPartition{}, &codec.MetadataQuery{Topics: topics}, &m)
	return m, err
}

// Ping asks whether the broker is there.
func (c *Client) Ping(ctx context.Context) error {
	return c.read(ctx, codec.TopicPartition{}, codec.Ping{}, &codec.Empty{})
}

// CreateTopic makes a topic.
func (c *Client) CreateTopic(ctx context.Context, t codec.CreateTopic) (codec.TopicDescription, error) {
	var d codec.TopicDescription
	return d, c.change(ctx, &t, &d)
}

// AlterTopic changes a topic.
func (c *Client) AlterTopic(ctx context.Context, t codec.AlterTopic) (codec.TopicDescription, error) {
	var d codec.TopicDescription
	return d, c.change(ctx, &t, &d)
}

// DeleteTopic deletes a topic with all it holds.
func (c *Client) DeleteTopic(ctx context.Context, topic codec.Topic) error {
	return c.change(ctx, &codec.DeleteTopic{Topic: topic}, &codec.Empty{})
}

// DescribeTopic says all there is to say about a topic.
func (c *Client) DescribeTopic(ctx context.Context, topic codec.Topic) (codec.TopicDescription, error) {
	var d codec.TopicDescription
	err := c.read(ctx, codec.TopicPartition{}, &codec.DescribeTopic{Topic: topic}, &d)
	return d, err
}

// Trim lets go of the records below before and returns the new start.
func (c *Client) Trim(ctx context.Context, tp codec.TopicPartition, before codec.Offset) (codec.Offset, error) {
	var t codec.Trimmed
	err := c.atLeader(ctx, tp, &codec.Trim{TopicPartition: tp, Before: before}, &t)
	return t.Start, err
}

// ChangeReplicas says on which brokers the replicas of a partition are to be, the
// first of them to lead. When it returns nil that is decided, and copying the log
// takes the time that it takes: DescribeTopic shows where the replicas are.
func (c *Client) ChangeReplicas(ctx context.Context, tp codec.TopicPartition, nodes []codec.NodeID) error {
	return c.change(ctx, &codec.ChangeReplicas{TopicPartition: tp, Nodes: nodes}, &codec.Empty{})
}

// Transfer asks the leader of a partition to hand leadership to the replica on
// another broker. Whether that one takes it is seen in Metadata.
func (c *Client) Transfer(ctx context.Context, tp codec.TopicPartition, to codec.NodeID) error {
	return c.atLeader(ctx, tp, &codec.Transfer{TopicPartition: tp, To: to}, &codec.Empty{})
}

// leaderTries is how often an answer that somebody else leads is followed.
const leaderTries = 3

// atLeader asks the leader of a partition once. That a broker does not lead is
// certain: then nothing was done, and the one that it names is asked.
func (c *Client) atLeader(ctx context.Context, tp codec.TopicPartition, r codec.Request, m codec.Message) (err error) {
	for range leaderTries {
		var l *link
		if l, err = c.leader(ctx, tp); err != nil {
			return err
		}
		if err = c.heed(tp, ask(ctx, l, r, m), nil); codec.CodeOf(err) != codec.NotLeader {
			return err
		}
	}
	return err
}

// NewProducerIdentity is an identity that no idempotent producer ever had, for
// one that numbers its batches itself and sends them with ProduceBatch.
func (c *Client) NewProducerIdentity(ctx context.Context) (codec.ProducerIdentity, error) {
	var who codec.ProducerIdentity
	err := c.read(ctx, codec.TopicPartition{}, codec.NewProducer{}, &who)
	return who, err
}

// Offsets are the offset of the oldest record of a partition, and that of the
// record to come.
func (c *Client) Offsets(ctx context.Context, tp codec.TopicPartition) (oldest, newest codec.Offset, err error) {
	var o codec.Offsets
	err = c.read(ctx, tp, &codec.OffsetsQuery{TopicPartition: tp}, &o)
	return o.Oldest, o.Newest, err
}

// OffsetForTime is the earliest offset whose record has a timestamp at or
// after t; without one found is false and offset that of the record to come.
func (c *Client) OffsetForTime(ctx context.Context, tp codec.TopicPartition, t codec.Millis) (offset codec.Offset, found bool, err error) {
	var o codec.Offsets
	err = c.read(ctx, tp, &codec.OffsetsQuery{TopicPartition: tp, Time: t, HasTime: true}, &o)
	return o.AtTime, o.Found, err
}

// change sends a request once.
func (c *Client) change(ctx context.Context, r codec.Request, m codec.Message) error {
	l, err := c.any(ctx)
	if err != nil {
		return err
	}
	return ask(ctx, l, r, m)
}
