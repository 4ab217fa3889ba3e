package actors

import (
	"slices"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// whenOpen keeps m until its topic has reported.
func (k *keeper) whenOpen(m *whenOpen) {
	if k.leaving != nil {
		m.done(errStopping)
		return
	}
	k.waiting = append(k.waiting, m)
	k.tellWaiting()
}

var errStopping = codec.Errorf(codec.Stopping, "the broker is stopping")

// tellWaiting answers those whose topics have reported in full, and the start.
func (k *keeper) tellWaiting() {
	keep := k.waiting[:0]
	for _, w := range k.waiting {
		if done, err := k.topicOpen(w.topic); done {
			w.done(err)
			continue
		}
		keep = append(keep, w)
	}
	clear(k.waiting[len(keep):])
	k.waiting = keep
	if k.started != nil && k.allOpen() {
		k.start(nil)
	}
}

// topicOpen says whether each partition of a topic that lives here has
// reported, and the first trouble among them.
func (k *keeper) topicOpen(name codec.Topic) (done bool, err error) {
	s := k.published.Load()
	if s == nil {
		return false, nil
	}
	topic, ok := s.Topics[name]
	if !ok {
		return true, unknownTopic(name)
	}
	for _, p := range topic.Partitions {
		if !k.livesHere(&p) {
			continue // others see to it
		}
		t := k.kept[p.Group]
		if t == nil || t.phase < open {
			return false, nil
		}
		if err == nil {
			err = t.err
		}
	}
	return true, err
}

func (k *keeper) livesHere(p *cluster.Partition) bool {
	return slices.ContainsFunc(p.Replicas, func(r cluster.Replica) bool { return r.Node == k.house.node })
}

// metadataServes says whether the published metadata is all that was decided
// before this broker started: its own registration was decided since, and is
// seen here.
func (k *keeper) metadataServes() bool {
	t := k.kept[codec.MetadataGroup]
	if t == nil || t.phase != open {
		return false
	}
	// Without room it still shows what was committed, and opens by itself.
	c := codec.CodeOf(t.err)
	return t.err == nil && k.registered || (c == codec.DiskFull || c == codec.Overloaded) && k.published.Load() != nil
}

// leadersTicks is how long a start waits for leaders of partitions that are open here:
// about ten seconds. With most of one's replicas away it has none for as long as they are,
// and what else lives here is not to be away with it.
const leadersTicks = 100

// allOpen says whether each partition here has reported; in the end it is enough that
// those without a leader are open.
func (k *keeper) allOpen() bool {
	s := k.published.Load()
	if s == nil || s.Cluster == (codec.UUID{}) || !k.metadataServes() {
		return false
	}
	led := true
	for _, topic := range s.Topics {
		for _, p := range topic.Partitions {
			if !k.livesHere(&p) {
				continue // others see to it
			}
			switch t := k.kept[p.Group]; {
			case t == nil || t.phase < opening || t.phase == opening && !t.handle.state.Load().open:
				return false
			case t.phase == opening:
				led = false
			}
		}
	}
	return led || k.waitedForLeaders()
}

// waitedForLeaders says whether leaders were waited for for long enough. It is asked with
// every tick: that a log has come open without a leader nobody reports.
func (k *keeper) waitedForLeaders() bool {
	if k.unled == 0 {
		k.unled = k.ticks + 1
	}
	if k.ticks-k.unled < leadersTicks {
		return false
	}
	k.house.log.Warn("the broker starts, though partitions have no leader")
	return true
}
