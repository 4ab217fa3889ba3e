package actors

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// heraldName is the id of the actor that tells others who leads.
const heraldName = "herald"

// leadsEvery is how often a broker tells the others all that it leads.
const leadsEvery = time.Second

// herald tells other brokers which groups this one leads, and publishes what they
// tell.
type herald struct {
	house *house
	self  *actor.PID
	known leads
	fresh map[codec.GroupID]bool // leaders here since the last telling
	asked bool                   // the others, what they lead
}

// Messages to the herald.
type (
	// leading says that a replica here has begun to lead.
	leading struct{ group codec.GroupID }
	// toldLeads is what another broker leads.
	toldLeads struct {
		from codec.NodeID
		list *codec.Leads
	}
	// toldLeader is what an answer of a broker says about a group: who leads it, as far
	// as that one knows, and that it does not itself, where it was taken for the leader.
	toldLeader struct {
		group  codec.GroupID
		leader lead // node is empty when it does not know
		denied lead // node is empty when nothing is denied
	}
	heraldBeat struct{}
	tellFresh  struct{}
)

// Receive names what the herald is told.
func (h *herald) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		h.self, h.fresh = ctx.Self(), map[codec.GroupID]bool{}
		h.beat()
	case heraldBeat:
		h.beat()
	case *leading:
		if h.fresh[m.group] = true; len(h.fresh) == 1 {
			h.house.send(h.self, tellFresh{})
		}
	case tellFresh:
		h.tellFresh()
	case *toldLeads:
		h.publish(h.known.hear(m.from, m.list.List, h.house.clock.Now()))
		if m.list.Asks {
			h.tell([]codec.NodeID{m.from}, false, h.mine(nil))
		}
	case *toldLeader:
		h.toldLeader(m)
	case *gone:
		h.publish(h.known.lost(m.node))
	}
}

// beat tells all of it to everybody, again and again. The first time it asks for the
// same.
func (h *herald) beat() {
	h.publish(h.known.expire(h.house.clock.Now()))
	next := leadsEvery
	if others := h.others(); len(others) > 0 {
		h.tell(others, !h.asked, h.mine(nil))
		h.asked = true
	} else if !h.asked {
		next = leadsEvery / 10 // the metadata has not come yet
	}
	h.house.clock.After(h.house.jitter(next), func() { h.house.send(h.self, heraldBeat{}) })
}

func (h *herald) tellFresh() {
	list := h.mine(h.fresh)
	clear(h.fresh)
	if len(list) > 0 {
		h.tell(h.others(), false, list)
	}
}

func (h *herald) toldLeader(m *toldLeader) {
	changed := m.denied.node != "" && h.known.deny(m.group, m.denied)
	if m.leader.node != "" && m.leader.node != h.house.node {
		list := []codec.Lead{{Group: m.group, Term: m.leader.term}}
		changed = h.known.hear(m.leader.node, list, h.house.clock.Now()) || changed
	}
	h.publish(changed)
}

func (h *herald) tell(to []codec.NodeID, asks bool, list []codec.Lead) {
	for _, letter := range cutLeads(h.house.cluster, asks, list) {
		for _, node := range to {
			h.house.link.Send(node, [][]byte{letter})
		}
	}
}

// mine are the groups of topics that are led here, of some or, with nil, of all.
func (h *herald) mine(of map[codec.GroupID]bool) (list []codec.Lead) {
	for g, p := range h.house.handles() {
		if s := p.state.Load(); g != codec.MetadataGroup && (of == nil || of[g]) && s.open && s.leader {
			list = append(list, codec.Lead{Group: g, Term: s.term})
		}
	}
	slices.SortFunc(list, func(a, b codec.Lead) int { return cmp.Compare(a.Group, b.Group) })
	return list
}

// others are all nodes but this one.
func (h *herald) others() (list []codec.NodeID) {
	s := h.house.state()
	if s == nil || h.house.node == "" {
		return nil
	}
	for _, node := range slices.Sorted(maps.Keys(s.Nodes)) {
		if node != h.house.node {
			list = append(list, node)
		}
	}
	return list
}

func (h *herald) publish(changed bool) {
	if changed {
		of := maps.Clone(h.known.of)
		h.house.leads.Store(&of)
	}
}

// openRoads begins what a broker with a link has to do with others: their leaders, what
// is asked of them, and the heartbeats.
func (h *house) openRoads() {
	begin := func(name string, make actor.Producer) {
		if _, err := h.system.Root.SpawnNamed(h.props(make), name); err != nil {
			panic("actors: spawn " + name + ": " + err.Error())
		}
	}
	begin(heraldName, func() actor.Actor { return &herald{house: h, known: newLeads()} })
	begin(ferryName, func() actor.Actor { return &ferry{house: h} })
	begin(drummerName, func() actor.Actor { return &drummer{house: h} })
}

// leaderOf is who leads a group and in what term, as far as is known here; no node when
// that is not known. A replica here that has come as far knows best, also that there
// is none.
func (h *house) leaderOf(g codec.GroupID) lead {
	var told lead
	if all := h.leads.Load(); all != nil {
		told = (*all)[g]
	}
	p := h.handles()[g]
	if p == nil {
		return told
	}
	if s := p.state.Load(); s.open && s.term >= told.term {
		return lead{s.lead, s.term}
	}
	return told
}
