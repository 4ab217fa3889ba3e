package actors

import (
	"time"
)

// handAll asks that everything which is led here, and which others could lead, is
// handed over; done is called once.
type handAll struct {
	done  func()
	looks int // that have been made
}

// relinquish asks a leader to hand over to whoever has most of its log.
type relinquish struct{}

const (
	handLook  = 10 * time.Millisecond
	handAgain = 50  // looks between two requests: a transfer that failed is tried again
	handLooks = 200 // then it has to be enough
)

// HandOver hands over everything that is led here and that others could lead, and
// calls done when it is, or after two seconds. Nobody is kept from electing this
// broker again: it is for one that is about to Leave, while it still serves. done
// is called once, from any goroutine, and must not wait.
func (b *Broker) HandOver(done func()) { b.house.toBroker(&handAll{done: done}) }

func (k *keeper) handAll(m *handAll) {
	led := 0
	for _, g := range k.order {
		h := k.kept[g].handle
		if s := h.state.Load(); !s.leader || h.others() == 0 {
			continue
		}
		led++
		if m.looks%handAgain == 0 {
			h.tell(relinquish{}, func(error) {})
		}
	}
	if m.looks++; led == 0 || m.looks >= handLooks || k.leaving != nil {
		m.done()
		return
	}
	k.house.clock.After(handLook, func() { k.post(m) })
}

// others is how many more replicas could lead.
func (h *Handle) others() (n int) {
	m := h.members.Load()
	if m == nil {
		return 0
	}
	for _, r := range m.list {
		if !r.Leaving && !r.Learner && r.Node != h.house.node {
			n++
		}
	}
	return n
}
