package actors

import (
	"fmt"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// A broker that was removed is not told by those who have let it go: they have nothing
// to say to it any more. So one that hears of no leader asks another broker now and
// then, as if to register again. And of two processes with one name the one that
// registered first ends.

type (
	// lonely has the keeper look whether it hears of a leader.
	lonely struct{}
	// disowned says that this broker is none of its cluster.
	disowned struct{ err error }
)

func (k *keeper) lonelyLater() {
	if k.house.link != nil && k.leaving == nil {
		k.house.clock.After(k.house.jitter(knockAfter), func() { k.post(lonely{}) })
	}
}

// lonely asks any other broker whether this one belongs to the cluster, when nothing is
// heard of a leader.
func (k *keeper) lonely() {
	k.lonelyLater()
	s := k.published.Load()
	if k.meta.state.Load().lead != "" || s == nil || k.enlisting {
		return
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Nodes)), func(n codec.NodeID) bool { return n == k.house.node })
	if len(others) == 0 {
		return
	}
	to := others[k.house.random()%uint64(len(others))]
	k.house.send(k.house.courier, &errand{to: to, command: cluster.Command{Do: k.registration()}.Encode(), reply: func(_ cluster.Result, err error) {
		if codec.CodeOf(err) == codec.Denied {
			k.post(&disowned{err})
		}
	}})
}

// fenced ends this broker when the metadata say that it is none any more, or that
// another process has taken its place.
func (k *keeper) fenced() {
	s := k.published.Load()
	if !k.registered || s == nil || k.leaving != nil {
		return
	}
	switch n := s.Nodes[k.house.node]; {
	case s.Disowned(k.house.disk) != nil:
		k.disowned(&disowned{s.Disowned(k.house.disk)})
	case n.Epoch > k.epoch && n.Run != k.run:
		k.disowned(&disowned{codec.Errorf(codec.Denied, "another process runs as node %q on a copy of this data directory, or on the same: end one of them", k.house.node)})
	}
}

// Disown ends this broker, for others have let it know that it is none of the cluster:
// err is what they say. Start, or Config.Failed, tells it.
func (b *Broker) Disown(err error) { b.house.toBroker(&disowned{err}) }

func (k *keeper) disowned(m *disowned) {
	err := fmt.Errorf("this broker is none of the cluster: %w", m.err)
	if k.started != nil {
		k.start(err)
		return
	}
	k.house.fail(err)
}
