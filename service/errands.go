package service

import (
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// errand is a message on its way, and who is to be answered.
type errand struct {
	to      *actor.PID
	sender  *actor.PID // nil for nobody
	message any
	call    *codec.Call
	size    int // its own bytes
	cost    int // and those of its answer
}

// stores says that it may be stored when no answer comes.
func (e *errand) stores() bool { return e.call.Kind == codec.CallProduce }

// errands are the messages of an attachment: those that wait, in the order in which they
// were sent, and those that the broker has.
type errands struct {
	held      []*errand
	heldBytes int
	open      map[uint64]*errand
	openBytes int
	stores    int    // of open, batches to be stored
	last      uint64 // number
}

// enter holds an errand, or says why not.
func (a *Attachment) enter(e *errand) *codec.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := &a.errands
	switch {
	case a.closed:
		return errClosed
	case a.trouble != nil:
		return a.trouble
	case len(q.held) >= a.config.HeldMessages || len(q.held) > 0 && q.heldBytes+e.size > a.config.HeldBytes:
		return codec.Errorf(codec.Overloaded, "%d messages of %d bytes wait for the broker's window, and at most %d of %d bytes may", len(q.held), q.heldBytes, a.config.HeldMessages, a.config.HeldBytes)
	}
	q.held = append(q.held, e)
	q.heldBytes += e.size
	a.stir()
	return nil
}

// take are the calls that may be sent now, in order: none overtakes one that has to wait.
func (a *Attachment) take() (calls []*codec.Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := &a.errands
	if q.open == nil {
		q.open = map[uint64]*errand{}
	}
	n := 0
	for ; !a.leaving && n < len(q.held) && a.window.Admits(len(q.open), q.openBytes, q.held[n].cost); n++ {
		e := q.held[n]
		q.last++
		e.call.Number, e.call.Cluster = q.last, a.cluster
		q.open[q.last] = e
		q.openBytes += e.cost
		q.heldBytes -= e.size
		if e.stores() {
			q.stores++
		}
		calls = append(calls, e.call)
		q.held[n] = nil
	}
	q.held = q.held[n:]
	return calls
}

// arrive answers the sender of a call; false for one that was never sent.
func (a *Attachment) arrive(r *codec.Reply) bool {
	a.mu.Lock()
	q := &a.errands
	e := q.open[r.Number]
	if e != nil {
		delete(q.open, r.Number)
		q.openBytes -= e.cost
		if e.stores() {
			q.stores--
		}
		if len(q.held) > 0 {
			a.stir()
		}
	}
	a.mu.Unlock()
	if e == nil {
		return false
	}
	a.answer(e, r)
	return true
}

func (a *Attachment) answer(e *errand, r *codec.Reply) {
	if e.sender != nil {
		a.system.Root.RequestWithCustomSender(e.sender, codec.AnswerTo(e.message, r), e.to)
	}
}

func (a *Attachment) refuse(e *errand, why *codec.Error) {
	r := &codec.Reply{}
	r.Fail(why)
	a.answer(e, r)
}

// leave sends nothing more on the line, which is to end when no batch is under way any
// more: whoever waits for something waits on at the next broker.
func (a *Attachment) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaving = true
}

// left says whether a line that is to end has brought the answers that must be had.
func (a *Attachment) left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving && a.errands.stores == 0
}

// lose answers what was under way on a line that has ended: what was to be stored may
// be. What waits to be stored behind such goes the same way; all else stays for the next
// line, with it what was asked of a broker that shuts down.
func (a *Attachment) lose(why *codec.Error) {
	open, behind := a.clear()
	for _, e := range open {
		if e.stores() {
			a.refuse(e, codec.Errorf(codec.Unknown, "%s: the batch may or may not be stored", why.Message))
		} else {
			a.refuse(e, why)
		}
	}
	for _, e := range behind {
		a.refuse(e, why)
	}
}

// clear takes what a lost line leaves to be answered: what was under way on it, in order,
// and what must not be stored because something before it may be.
func (a *Attachment) clear() (open, behind []*errand) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := &a.errands
	doubt := q.stores > 0
	var keep []*errand
	for _, number := range slices.Sorted(maps.Keys(q.open)) {
		if e := q.open[number]; a.leaving && !e.stores() {
			keep = append(keep, e)
			q.heldBytes += e.size
		} else {
			open = append(open, e)
		}
	}
	for _, e := range q.held {
		if doubt && e.stores() {
			behind = append(behind, e)
			q.heldBytes -= e.size
		} else {
			keep = append(keep, e)
		}
	}
	a.broker, q.held, q.open, q.openBytes, q.stores = "", keep, nil, 0, 0
	return open, behind
}

// drop answers all that waits: there is nobody to send it to.
func (a *Attachment) drop(why *codec.Error) {
	a.mu.Lock()
	q := &a.errands
	held := q.held
	q.held, q.heldBytes, a.trouble = nil, 0, why
	a.mu.Unlock()
	for _, e := range held {
		a.refuse(e, why)
	}
}
