package actors

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// A batch that comes while nobody can say who takes it, between two leaders, waits
// here for a moment rather than be sent away with nowhere to go: an election takes a
// few milliseconds once it has begun, and whoever is refused comes back much later.

// heldFor is how long a batch waits to hear who leads.
const heldFor = time.Second

// held are the batches that wait. None of them was given to the mind.
type held struct {
	list []*Produce
	turn int  // tells one time without a leader from those before it
	over bool // it lasts too long: what comes is refused
}

// heldOver ends the waiting of one turn.
type heldOver struct{ turn int }

// undecided says that there is no leader that takes batches, and may be one soon: it is
// being elected, or has not committed in its term yet, or hands over.
func (p *Partition) undecided() bool {
	if p.mind == nil || p.machine != nil || p.disk.closed || !p.replicated() {
		return false
	}
	if role := p.mind.Role(); !role.Leader {
		return role.Lead == 0
	}
	return !p.serving || p.handing.to != 0
}

// hold has a batch wait behind those that do.
func (p *Partition) hold(m *Produce) {
	p.waiting.list = append(p.waiting.list, m)
	if len(p.waiting.list) == 1 {
		over := heldOver{p.waiting.turn}
		p.house.clock.After(heldFor, func() { p.post(over) })
	}
}

// decided lets those go on that waited, in their order, when it is known who takes
// them: this replica, or one that they are sent to.
func (p *Partition) decided() {
	if p.undecided() {
		return
	}
	p.waiting.turn, p.waiting.over = p.waiting.turn+1, false
	for range p.waiting.list {
		p.produce(p.waiting.next())
	}
}

// next takes out the first: should the turn panic over it, the others are still known.
func (w *held) next() *Produce {
	m := w.list[0]
	w.list[0] = nil
	if w.list = w.list[1:]; len(w.list) == 0 {
		w.list = nil
	}
	return m
}

func (p *Partition) heldOver(m heldOver) {
	if m.turn == p.waiting.turn {
		p.waiting.over = true
		p.refuseHeld(codec.Errorf(codec.Unavailable, "%s has had no leader that takes records for %s", p.seat.name, heldFor))
	}
}

// refuseHeld sends away all that wait: nothing of them was stored.
func (p *Partition) refuseHeld(why error) {
	for range p.waiting.list {
		p.waiting.next().refuse(why)
	}
}
