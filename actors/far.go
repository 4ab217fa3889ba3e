package actors

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// Far is a partition wherever it is led: what is asked of it goes by letter to the broker
// that leads it, or to the replica here when that is the one.
type Far struct {
	house    *house
	tp       codec.TopicPartition
	group    codec.GroupID
	bytesMax int
	near     *Handle // the replica here; nil without one
}

// Far is a partition that may be led anywhere. It asks no actor. The error is a
// *codec.Error: UnknownTopic or UnknownPartition.
func (b *Broker) Far(tp codec.TopicPartition) (*Far, error) {
	if f := b.table.Load().fars[tp]; f != nil {
		return f, nil
	}
	if b.house.link == nil || b.leaving.Load() {
		_, err := b.Partition(tp)
		return nil, err
	}
	p, settings, err := b.place(tp)
	if err != nil {
		return nil, err
	}
	return &Far{house: b.house, tp: tp, group: p.Group, bytesMax: int(settings.MessageBytesMax)}, nil
}

// Alone says that there is nobody else to ask: the replica here is the only one.
func (f *Far) Alone() bool {
	if f.house.link == nil || f.near == nil {
		return f.house.link == nil
	}
	m := f.near.members.Load()
	return m != nil && len(m.list) == 1
}

// Near is the replica here; nil without one.
func (f *Far) Near() *Handle { return f.near }

// place is where the metadata has a partition.
func (b *Broker) place(tp codec.TopicPartition) (cluster.Partition, cluster.Settings, error) {
	s := b.published.Load()
	if s == nil {
		return cluster.Partition{}, cluster.Settings{}, codec.Errorf(codec.Unavailable, "the broker is starting")
	}
	t, ok := s.Topics[tp.Topic]
	if !ok {
		return cluster.Partition{}, cluster.Settings{}, unknownTopic(tp.Topic)
	}
	if tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		return cluster.Partition{}, cluster.Settings{}, codec.Errorf(codec.UnknownPartition, "topic %q has no partition %d: it has %d, counted from 0", tp.Topic, tp.Partition, len(t.Partitions))
	}
	return t.Partitions[tp.Partition], t.Settings, nil
}

// Leader is who leads a partition as far as is known here, and where clients reach it;
// both are empty when that is not known.
func (b *Broker) Leader(tp codec.TopicPartition) (node codec.NodeID, address string) {
	p, _, err := b.place(tp)
	if err != nil {
		return "", ""
	}
	if node = b.house.leaderOf(p.Group).node; node == "" {
		return "", ""
	}
	return node, b.house.addressOf(node)
}

// Nodes are the brokers of the cluster that say where clients reach them.
func (b *Broker) Nodes() (list []codec.MetadataNode) {
	s := b.published.Load()
	if s == nil {
		return nil
	}
	for node, n := range s.Nodes {
		if n.Address != "" {
			list = append(list, codec.MetadataNode{Node: node, Address: n.Address})
		}
	}
	slices.SortFunc(list, func(a, b codec.MetadataNode) int { return cmp.Compare(a.Node, b.Node) })
	return list
}

// MessageBytesMax is the size of the largest batch that the topic takes.
func (f *Far) MessageBytesMax() int {
	if f.near != nil {
		return f.near.MessageBytesMax()
	}
	return f.bytesMax
}

// Elsewhere is where a client is to go rather than have this broker ask another: an
// error of code NotLeader that names the leader; nil when it is led here.
func (f *Far) Elsewhere() error {
	if f.near != nil && f.near.leads() {
		return nil
	}
	node := f.house.leaderOf(f.group).node
	if f.near != nil && (node == "" || node == f.house.node) {
		return nil // it knows why it cannot be written
	}
	if node == "" {
		return f.leaderless()
	}
	return f.house.ledBy(f.tp, node)
}

func (f *Far) leaderless() *codec.Error {
	return codec.Errorf(codec.Unavailable, "%s has no leader that is known here", f.tp)
}

func (h *house) ledBy(tp codec.TopicPartition, node codec.NodeID) *codec.Error {
	e := codec.Errorf(codec.NotLeader, "%s is led by %s", tp, node)
	e.Leader = h.addressOf(node)
	return e
}

// Produce is Handle.ProduceVerified for a partition that may be led anywhere. A batch
// that was sent to another broker and not answered has an outcome of code Unknown; those
// that were sent behind it then have too. By the time reply is called b is its owner's
// again, whatever became of it.
func (f *Far) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	h, away := f.near, f.house.awayOf(f.group)
	if h == nil && f.house.link == nil {
		return f.leaderless()
	}
	if h != nil && away.Load() == 0 && (h.leads() || f.house.link == nil || h.awaits(f.house.leaderOf(f.group).node)) {
		return h.ProduceVerified(ctx, b, reply)
	}
	if most := f.MessageBytesMax(); len(b) > most {
		return codec.Errorf(codec.RecordTooLarge, "batch of %d bytes: %s takes at most %d (message.bytes.max)", len(b), f.tp.Topic, most)
	}
	bytes := int64(len(b))
	if err := f.house.credit.take(ctx, bytes); err != nil {
		return err
	}
	away.Add(1)
	// The link may be at it still when the answer has come.
	f.house.send(f.house.ferry, &carry{f.tp, &way{group: f.group, batch: slices.Clone(b), reply: func(p codec.Produced, err error) {
		f.house.credit.give(bytes)
		away.Add(-1)
		reply(p, err)
	}}})
	return nil
}

// Ask asks the leader about the partition. reply is called exactly once, from any goroutine, and
// must not wait: with what was seen, or with an error of code Unavailable, or Unknown for
// a LookTrim, when there is no answer. forget lets reply go; it may still be called then.
func (f *Far) Ask(kind codec.LookKind, at int64, bytes int, within time.Duration, reply func(*codec.Sight, error)) (forget func()) {
	if f.house.link == nil {
		reply(nil, f.leaderless())
		return func() {}
	}
	m := &look{tp: f.tp, letter: codec.Look{Group: f.group, Kind: kind, At: at, Bytes: uint32(max(0, bytes)), Within: uint32(within.Milliseconds())}, reply: reply}
	f.house.send(f.house.ferry, m)
	return func() { f.house.send(f.house.ferry, &letLook{m}) }
}

// Trim is Handle.Trim, wherever the partition is led.
func (f *Far) Trim(before codec.Offset, reply func(start codec.Offset, err error)) {
	if f.near != nil && (f.near.leads() || f.house.link == nil) {
		f.near.Trim(before, reply)
		return
	}
	f.Ask(codec.LookTrim, int64(before), 0, lookAgain, func(s *codec.Sight, err error) {
		if err != nil {
			reply(0, err)
			return
		}
		reply(s.Offset, nil)
	})
}
