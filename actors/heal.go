package actors

import (
	"time"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// replaceAfter is how long a damaged replica stands before another takes its
// place: time for a broker that is being stopped to say so, and for a person to
// see it.
const replaceAfter = 30 * time.Second

// replaceDue comes when a replica that was damaged is to be replaced.
type replaceDue struct {
	group   codec.GroupID
	replica codec.ReplicaID
}

// heal sees to it that a damaged replica of a topic is replaced on this node, where
// there are others to copy it from: under a new id, for the old one has given
// promises that nobody can read any more. What is damaged is removed when the new
// one has everything.
func (k *keeper) heal(t *kept) {
	if codec.CodeOf(t.err) != codec.CorruptLog || t.seat.group == codec.MetadataGroup || t.healing == t.seat.id {
		return
	}
	t.healing = t.seat.id
	m := &replaceDue{t.seat.group, t.seat.id}
	k.house.clock.After(k.house.jitter(replaceAfter), func() { k.post(m) })
}

// replaceDue asks the metadata for the new one. Where that fails, it is asked
// again.
func (k *keeper) replaceDue(m *replaceDue) {
	t := k.kept[m.group]
	if t == nil || t.seat.id != m.replica || t.phase != open || k.leaving != nil {
		return
	}
	if len(cluster.Partition{Replicas: t.seat.members}.Staying()) < 2 {
		t.healing = 0 // there is no other; should there be one day, it is seen to then
		return
	}
	k.house.log.Warn("a damaged replica is replaced", "partition", t.seat.name, "replica", m.replica)
	k.house.decide(cluster.ReplaceReplica{Replica: m.replica}, func(_ cluster.Result, err error) {
		if err != nil {
			k.house.clock.After(k.house.jitter(replaceAfter), func() { k.post(m) })
		}
	})
}
