package actors

import (
	"fmt"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

type (
	// enlisted is the outcome of a step towards the cluster.
	enlisted struct {
		revision uint64 // of the metadata that has this broker registered; 0 before that
		err      error
	}
	ticking struct{}
	knock   struct{}
)

// enlist takes this broker's next step into the cluster: whoever leads the
// metadata first writes the founding down, then each broker registers. Nothing
// is kept here before that, so that of an older state of the metadata than this
// broker has been told of nothing is made anew.
func (k *keeper) enlist() {
	if k.registered || k.enlisting || k.leaving != nil {
		return
	}
	s, meta := k.published.Load(), k.meta.state.Load()
	switch {
	case meta.lead == "":
		return // whoever leads will be heard of
	case s == nil || s.Cluster == (codec.UUID{}):
		if meta.leader {
			k.step(cluster.FoundCluster{Cluster: k.house.cluster, Node: k.house.node, Nodes: k.id.Founders})
		} else {
			k.knockLater()
		}
		return
	}
	k.register()
}

func (k *keeper) register() { k.step(k.registration()) }

// registration is what this process says of its node.
func (k *keeper) registration() cluster.RegisterNode {
	do := cluster.RegisterNode{Node: k.house.node, Disk: k.house.disk, Address: k.house.cfg.Address, Link: k.house.cfg.Link, Rack: k.house.cfg.Rack, Run: k.run}
	if s := k.published.Load(); s != nil {
		do.After = s.Nodes[k.house.node].Epoch
	}
	return do
}

// knockLater has a broker ask to be registered that learns nothing of the
// cluster: with a directory that was lost it is not listened to, and is told so
// when it asks.
func (k *keeper) knockLater() {
	if k.house.link == nil || k.knocking {
		return
	}
	k.knocking = true
	k.house.clock.After(k.house.jitter(knockAfter), func() { k.post(knock{}) })
}

func (k *keeper) knock() {
	k.knocking = false
	s, meta := k.published.Load(), k.meta.state.Load()
	if k.registered || k.enlisting || k.leaving != nil || s != nil && s.Cluster != (codec.UUID{}) {
		return
	}
	if meta.lead == "" || meta.leader {
		k.knockLater()
		return
	}
	k.register()
}

// step has one command decided.
func (k *keeper) step(do cluster.Action) {
	_, last := do.(cluster.RegisterNode)
	k.enlisting = true
	k.house.decide(do, func(r cluster.Result, err error) {
		m := &enlisted{err: err}
		if last && err == nil {
			m.revision = r.Revision
		}
		k.post(m)
	})
}

// enlisted goes on: with the next step, after a pause, or never.
func (k *keeper) enlisted(m *enlisted) {
	k.enlisting = false
	seen := uint64(0)
	if s := k.published.Load(); s != nil {
		seen = s.Revision
	}
	switch code := codec.CodeOf(m.err); {
	case m.revision > seen:
		// It was decided, and has not come here in time: what is seen here may
		// still be older than what this broker was told before it started.
		k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(metadataChanged{}) })
	case m.revision > 0:
		k.registered = true
		k.epoch = k.published.Load().Nodes[k.house.node].Epoch
		k.reconcile()
	case m.err == nil:
		k.enlist()
	case code == codec.Denied:
		k.start(fmt.Errorf("join the cluster: %w", m.err))
	case k.house.link == nil && !code.Retriable() && code != codec.Unknown:
		k.start(fmt.Errorf("join the cluster: %w", m.err))
	default:
		k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(metadataChanged{}) })
	}
}

// stepsTogether is how many steps of raft's time a replica that has a leader gets at
// once: as many as there are between two heartbeats.
const stepsTogether = replica.HeartbeatTicks

// tick gives raft's time to every replica that is not alone. One that looks for a
// leader gets each step; the others get two in every other tick, half of them now and
// half the next time, for to wake an actor costs more than what it does then. One that
// has not come to its last steps yet gets no others, and never many at once: they
// would look like a long silence of its leader.
func (k *keeper) tick() {
	if k.leaving != nil {
		return
	}
	k.ticks++
	for _, g := range k.order {
		t := k.kept[g]
		h := t.handle
		m := h.members.Load()
		if m == nil || alone(g, m.list, t.seat.id) {
			continue
		}
		t.steps = min(t.steps+1, stepsTogether)
		turn := (k.ticks+int64(g))%stepsTogether == 0 || h.state.Load().lead == ""
		if turn && !h.ticking.Swap(true) {
			h.tell(tick{t.steps}, func(error) { h.ticking.Store(false) })
			t.steps = 0
		}
	}
	if k.started != nil {
		k.tellWaiting()
	}
	k.tickLater()
}

func (k *keeper) tickLater() {
	if k.house.link != nil { // jitter makes it a tenth longer on average
		k.house.clock.After(k.house.jitter(tickEvery*10/11), func() { k.post(ticking{}) })
	}
}
