package actors

import (
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// decide has the metadata group decide on do, wherever it is led; reply gets
// what came of it, in an actor's turn, when it can be seen here.
func (h *house) decide(do cluster.Action, reply func(cluster.Result, error)) {
	h.command(cluster.Command{Do: do}, reply)
}

// command is decide for a command that expects a revision. It is asked for more than
// once when an answer does not come; whatever that would do twice gets an ID, by which
// it is decided once.
func (h *house) command(c cluster.Command, reply func(cluster.Result, error)) {
	switch c.Do.(type) {
	case cluster.CreateTopic, cluster.AlterTopic, cluster.DeleteTopic, cluster.ChangeReplicas, cluster.ReplaceReplica, cluster.RemoveNode, cluster.AllocateProducerIDs:
		c.ID = h.random() | 1
	}
	h.send(h.courier, &errand{command: c.Encode(), reply: reply})
}

// CreateTopic makes a topic; reply gets its description once every partition
// here is open, or has said why not. It is called exactly once, from any goroutine, and must not wait.
// Errors are *codec.Error.
func (b *Broker) CreateTopic(r codec.CreateTopic, reply func(codec.TopicDescription, error)) {
	if err := cluster.CheckSettings(r.Settings); err != nil {
		reply(codec.TopicDescription{}, err)
		return
	}
	c := cluster.CreateTopic{
		Name: r.Topic, ID: b.house.newUUID(), Partitions: int(max(r.Partitions, 1)), Replicas: int(r.Replicas),
		Settings: r.Settings, Now: b.house.clock.Now(),
	}
	b.house.decide(c, b.describeWhenOpen(r.Topic, reply))
}

// AlterTopic changes settings of a topic, gives it more partitions, or another number
// of replicas; reply as in CreateTopic. Replicas change in the background, as with
// ChangeReplicas.
func (b *Broker) AlterTopic(r codec.AlterTopic, reply func(codec.TopicDescription, error)) {
	if err := cluster.CheckSettings(r.Settings); err != nil {
		reply(codec.TopicDescription{}, err)
		return
	}
	c := cluster.AlterTopic{Name: r.Topic, Partitions: int(r.Partitions), Replicas: int(r.Replicas), Settings: r.Settings}
	b.house.decide(c, b.describeWhenOpen(r.Topic, reply))
}

// DeleteTopic removes a topic and its records; reply gets nil once that is
// decided and its partitions take nothing more. The files go soon after.
func (b *Broker) DeleteTopic(name codec.Topic, reply func(error)) {
	b.house.decide(cluster.DeleteTopic{Name: name}, func(_ cluster.Result, err error) {
		// The keeper has heard of the new state before it hears this.
		b.house.toBroker(&passed{func() { reply(err) }})
	})
}

// ChangeReplicas says on which nodes the replicas of a partition are to be, the
// first of them to lead. reply is called once, when that is decided; the change
// itself goes on for as long as it takes to copy the log, and is over when the
// metadata has no Change for the partition any more. Errors are *codec.Error.
func (b *Broker) ChangeReplicas(tp codec.TopicPartition, nodes []codec.NodeID, reply func(error)) {
	s := b.published.Load()
	if s == nil {
		reply(codec.Errorf(codec.Unavailable, "the broker is starting"))
		return
	}
	t, ok := s.Topics[tp.Topic]
	if !ok {
		reply(unknownTopic(tp.Topic))
		return
	}
	if tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		reply(codec.Errorf(codec.UnknownPartition, "topic %q has no partition %d: it has %d, counted from 0", tp.Topic, tp.Partition, len(t.Partitions)))
		return
	}
	do := cluster.ChangeReplicas{Group: t.Partitions[tp.Partition].Group, Nodes: nodes}
	b.house.decide(do, func(_ cluster.Result, err error) { reply(err) })
}

// describeWhenOpen replies once all partitions of a topic that live here have
// reported. One that is in trouble does not undo what was decided: an error
// would say that the topic is not there, and it is. Its description shows no
// leader, and whoever uses it is told why. A topic that was deleted meanwhile is
// unknown.
func (b *Broker) describeWhenOpen(name codec.Topic, reply func(codec.TopicDescription, error)) func(cluster.Result, error) {
	return func(_ cluster.Result, err error) {
		if err != nil {
			reply(codec.TopicDescription{}, err)
			return
		}
		b.house.toBroker(&whenOpen{name, func(error) { reply(b.Topic(name)) }})
	}
}

// Admit has a new node let into the cluster: a replica of the metadata, a learner,
// is made for it, and reply gets that replica's id. Asking again for the same node
// and disk gives the same. A name or a disk that is another's is refused with code
// Denied, and the message says what to do. Any broker may be asked. reply is called
// once, from any goroutine, and must not wait.
func (b *Broker) Admit(r cluster.AdmitNode, reply func(codec.ReplicaID, error)) {
	if b.house.link == nil {
		reply(0, codec.Errorf(codec.Unavailable, "this broker is alone: start it with a link that others can reach"))
		return
	}
	b.house.decide(r, func(done cluster.Result, err error) {
		s := b.published.Load()
		if err == nil && (s == nil || s.Revision < done.Revision) {
			err = codec.Errorf(codec.Unavailable, "node %q was let in, and this broker has not seen it yet: ask again", r.Node)
		}
		if err != nil {
			reply(0, err)
			return
		}
		id := s.MetadataOn(r.Node) // it may have been removed again since
		if id == 0 {
			reply(0, codec.Errorf(codec.Denied, "node %q was removed again", r.Node))
			return
		}
		reply(id, nil)
	})
}

// Remove has a node leave the cluster for good, which must have no replica of a topic
// any more. reply is called once, when that is decided: the node is gone when the
// metadata do not name it any more, which may take until a majority can do without it.
// Its data directory never comes back.
func (b *Broker) Remove(node codec.NodeID, reply func(error)) {
	b.house.decide(cluster.RemoveNode{Node: node}, func(_ cluster.Result, err error) { reply(err) })
}

// Silent are the nodes that do not answer, as the leader of the metadata sees it; known
// is false on other brokers.
func (b *Broker) Silent() (nodes []codec.NodeID, known bool) {
	if list := b.house.silent.Load(); list != nil && b.LeadsMetadata() {
		return slices.Clone(*list), true
	}
	return nil, false
}

// Topics describes all topics, in order of name.
func (b *Broker) Topics() []codec.TopicDescription {
	s := b.published.Load()
	if s == nil {
		return nil
	}
	var all []codec.TopicDescription
	for _, name := range slices.Sorted(maps.Keys(s.Topics)) {
		all = append(all, b.describe(s.Topics[name]))
	}
	return all
}

// Topic describes one topic.
func (b *Broker) Topic(name codec.Topic) (codec.TopicDescription, error) {
	s := b.published.Load()
	if s == nil {
		return codec.TopicDescription{}, codec.Errorf(codec.Unavailable, "the broker is starting")
	}
	t, ok := s.Topics[name]
	if !ok {
		return codec.TopicDescription{}, unknownTopic(name)
	}
	return b.describe(t), nil
}

func (b *Broker) describe(t cluster.Topic) codec.TopicDescription {
	d := codec.TopicDescription{Topic: t.Name, ID: t.ID, Settings: t.Settings.Map()}
	for i, part := range t.Partitions {
		d.Partitions = append(d.Partitions, b.describePartition(t.Name, codec.Partition(i), part))
	}
	return d
}

func (b *Broker) describePartition(name codec.Topic, n codec.Partition, part cluster.Partition) codec.PartitionDescription {
	d := codec.PartitionDescription{Partition: n}
	for _, r := range part.Staying() {
		d.Replicas = append(d.Replicas, r.Node)
	}
	if lead := b.house.leaderOf(part.Group); lead.node != "" {
		d.Leader = lead.node
		d.Epoch, _ = codec.EpochOf(lead.term)
	}
	h := b.table.Load().parts[codec.TopicPartition{Topic: name, Partition: n}]
	if h == nil {
		return d
	}
	if v := h.view.Load(); v != nil {
		d.Start, d.HighWatermark, d.Bytes = v.Start(), v.HighWatermark(), v.Bytes()
	}
	if s := h.state.Load(); s.leader {
		// It is in sync with itself, and with whom it has seen to be.
		d.InSync = []codec.NodeID{s.lead}
		if more := h.inSync.Load(); more != nil {
			d.InSync = *more
		}
	}
	return d
}
