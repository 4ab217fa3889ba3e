package main

import (
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

// Partition looks a partition up, wherever it is led.
func (d door) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	f, err := d.Far(tp)
	if err != nil {
		return nil, err
	}
	if f.Near() == nil {
		return f.Remote(nil), nil
	}
	return near{f}, nil
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
	f, err := d.Far(tp)
	if err != nil {
		reply(0, err)
		return
	}
	f.Trim(before, reply)
}

// near shows a partition that has a replica here to the gateway, which has verified each
// batch: those go to the leader, and what is read is this replica's.
type near struct{ *actors.Far }

func (n near) MaxMessageBytes() int { return n.MessageBytesMax() }

func (n near) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	return n.Near().Read(dst, offset, maxBytes)
}

func (n near) Bounds() (start, highWatermark codec.Offset, err error) { return n.Near().Bounds() }

func (n near) OffsetForTime(t codec.Millis) (offset codec.Offset, found bool, err error) {
	if leads, _ := n.Near().Leads(); !leads && !n.Alone() {
		return n.Far.Remote(nil).OffsetForTime(t)
	}
	offset, _, found, err = n.Near().OffsetForTime(t)
	return offset, found, err
}

func (n near) Await(offset codec.Offset, wait time.Duration, done func()) (cancel func()) {
	return n.Near().Await(offset, wait, done)
}

func (n near) Ends() (start, highWatermark codec.Offset, err error) {
	if leads, _ := n.Near().Leads(); leads || n.Alone() {
		return n.Near().Bounds()
	}
	return n.Far.Remote(nil).Ends()
}

func (n near) Cut() error { return n.Near().Cut() }

func (n near) Afar() bool { return false }
