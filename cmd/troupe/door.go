package main

import (
	"context"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// door shows a broker to the gateway: the two rooms do not know each other.
type door struct {
	*actors.Broker
	identity gateway.Identity
}

func (d door) Identity() gateway.Identity { return d.identity }

func (d door) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	h, err := d.Broker.Partition(tp)
	if err != nil {
		return nil, err
	}
	return leaf{h}, nil
}

func (d door) DeleteTopic(r codec.DeleteTopic, reply func(error)) {
	d.Broker.DeleteTopic(r.Topic, reply)
}

func (d door) Transfer(tp codec.TopicPartition, to codec.NodeID) error {
	h, err := d.Broker.Partition(tp)
	if err != nil {
		return err
	}
	return h.HandOver(to)
}

func (d door) Trim(tp codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error)) {
	h, err := d.Broker.Partition(tp)
	if err != nil {
		reply(0, err)
		return
	}
	h.Trim(before, reply)
}

// leaf shows a partition to the gateway, which has verified each batch.
type leaf struct{ *actors.Handle }

func (l leaf) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	return l.ProduceVerified(ctx, b, reply)
}

func (l leaf) MaxMessageBytes() int { return l.MessageBytesMax() }

func (l leaf) OffsetForTime(t codec.Millis) (offset codec.Offset, found bool, err error) {
	offset, _, found, err = l.Handle.OffsetForTime(t)
	return offset, found, err
}

func (l leaf) Await(offset codec.Offset, wait time.Duration, done func()) (cancel func()) {
	return l.Handle.Await(offset, wait, done)
}
