package world

import (
	"context"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// liveDoor shows one life of a node's broker to its gateway, whose goroutines
// are not the World's: what they ask for is done inside it, and only while the
// process does not stand still. What is published they read from outside.
type liveDoor struct {
	*actors.Broker
	host *host
	life *Life
}

// inside does f in the World, once the life goes on.
func (d liveDoor) inside(f func()) {
	d.host.driver.enter()
	for d.life.paused && !d.life.dead {
		goesOn := d.host.frozen
		d.host.driver.exit()
		<-goesOn
		d.host.driver.enter()
	}
	defer d.host.driver.exit()
	f()
}

// Identity implements gateway.Broker.
func (d liveDoor) Identity() gateway.Identity {
	cluster, node := d.Broker.Identity()
	return gateway.Identity{Cluster: cluster, Node: node, Version: "simulated", Address: d.host.address}
}

// Partition implements gateway.Broker.
func (d liveDoor) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	f, err := d.Far(tp)
	if err != nil {
		return nil, err
	}
	r := f.Remote(d.inside)
	if h := f.Near(); h != nil {
		return liveLeaf{liveFar{r, d}, h}, nil
	}
	return liveFar{r, d}, nil
}

// CreateTopic implements gateway.Broker.
func (d liveDoor) CreateTopic(r codec.CreateTopic, reply func(codec.TopicDescription, error)) {
	d.inside(func() { d.Broker.CreateTopic(r, reply) })
}

// AlterTopic implements gateway.Broker.
func (d liveDoor) AlterTopic(r codec.AlterTopic, reply func(codec.TopicDescription, error)) {
	d.inside(func() { d.Broker.AlterTopic(r, reply) })
}

// DeleteTopic implements gateway.Broker.
func (d liveDoor) DeleteTopic(r codec.DeleteTopic, reply func(error)) {
	d.inside(func() { d.Broker.DeleteTopic(r.Topic, reply) })
}

// NewProducer implements gateway.Broker.
func (d liveDoor) NewProducer(reply func(int64, error)) {
	d.inside(func() { d.Broker.NewProducer(reply) })
}

// ChangeReplicas implements gateway.Broker.
func (d liveDoor) ChangeReplicas(tp codec.TopicPartition, nodes []codec.NodeID, reply func(error)) {
	d.inside(func() { d.Broker.ChangeReplicas(tp, nodes, reply) })
}

// Transfer implements gateway.Broker.
func (d liveDoor) Transfer(tp codec.TopicPartition, to codec.NodeID) (err error) {
	h, err := d.Broker.Partition(tp)
	if err != nil {
		return err
	}
	d.inside(func() { err = h.HandOver(to) })
	return err
}

// Trim implements gateway.Broker.
func (d liveDoor) Trim(tp codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error)) {
	f, err := d.Far(tp)
	if err != nil {
		reply(0, err)
		return
	}
	d.inside(func() { f.Trim(before, reply) })
}

// liveFar shows a partition without a replica here to the gateway, which has verified
// each batch.
type liveFar struct {
	*actors.Remote
	door liveDoor
}

// creditPause is how long a batch waits that found no credit, before it asks
// again.
const creditPause = time.Millisecond

// Produce implements gateway.Partition. Credit cannot be waited for inside.
func (l liveFar) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	hurry, cancel := context.WithCancel(ctx)
	cancel()
	for {
		var err error
		l.door.inside(func() { err = l.Far.Produce(hurry, b, reply) })
		if codec.CodeOf(err) != codec.Overloaded || ctx.Err() != nil {
			return err
		}
		time.Sleep(creditPause)
	}
}

// Afar implements gateway.Distant.
func (l liveFar) Afar() bool { return true }

// liveLeaf shows one with a replica here.
type liveLeaf struct {
	liveFar
	near *actors.Handle
}

// Afar implements gateway.Distant.
func (l liveLeaf) Afar() bool { return false }

// Cut implements gateway.Distant.
func (l liveLeaf) Cut() error { return l.near.Cut() }

// Bounds implements gateway.Partition.
func (l liveLeaf) Bounds() (start, highWatermark codec.Offset, err error) { return l.near.Bounds() }

// Ends implements gateway.Distant.
func (l liveLeaf) Ends() (start, highWatermark codec.Offset, err error) {
	if leads, _ := l.near.Leads(); leads {
		return l.near.Bounds()
	}
	return l.liveFar.Ends()
}

// Read implements gateway.Partition.
func (l liveLeaf) Read(dst []byte, offset codec.Offset, maxBytes int) (out []byte, err error) {
	l.door.inside(func() { out, err = l.near.Read(dst, offset, maxBytes) })
	return out, err
}

// Await implements gateway.Partition.
func (l liveLeaf) Await(offset codec.Offset, wait time.Duration, done func()) (cancel func()) {
	l.door.inside(func() { cancel = l.near.Await(offset, wait, done) })
	forget := cancel
	return func() { l.door.inside(forget) }
}

// OffsetForTime implements gateway.Partition.
func (l liveLeaf) OffsetForTime(t codec.Millis) (offset codec.Offset, found bool, err error) {
	if leads, _ := l.near.Leads(); !leads {
		return l.liveFar.OffsetForTime(t)
	}
	l.door.inside(func() { offset, _, found, err = l.near.OffsetForTime(t) })
	return offset, found, err
}
