package actors

import (
	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// changing is a partition's part in a change of its group's members: the leader
// takes one step at a time, and says in the metadata when there is none left.
type changing struct {
	busy  bool       // a step is under way
	joint codec.Term // in which this replica began a joint configuration
}

// stepOver says that a step is over, whatever came of it; it is also what the
// step is answered by.
type stepOver struct{ life int }

// drive takes a leader's next step. It is called when there may be one: the
// metadata has changed, a step is over, some time has passed.
func (p *Partition) drive() {
	if p.seat.change == 0 || p.changing.busy || !p.serving || p.mind == nil || p.disk.closed {
		return
	}
	var staying []codec.ReplicaID
	ready := map[codec.ReplicaID]bool{}
	for _, r := range p.seat.members {
		if !r.Leaving {
			staying = append(staying, r.ID)
			ready[r.ID] = r.Initialized
		}
	}
	step := p.mind.Toward(staying, func(id codec.ReplicaID) bool { return ready[id] })
	switch {
	case step.Done || codec.Mutant("finished-too-early"):
		p.finishChange()
	case step.Transfer != 0:
		p.mind.Transfer(step.Transfer)
		p.flushSoon()
	case step.Conf != nil:
		p.proposeStep(step)
	}
}

// proposeStep has consensus decide a step.
func (p *Partition) proposeStep(step replica.Step) {
	token := &stepOver{p.disk.life}
	if err := p.mind.ProposeConf(step.Conf, token); err != nil {
		return // there is another way in a while
	}
	p.changing.busy = true
	term := p.mind.Role().Term
	if step.Enters() {
		p.changing.joint = term
	} else if step.Leaves() && p.changing.joint != term {
		p.house.seen(SeenJointLeft)
	}
	p.flushSoon()
}

// finishChange tells the metadata that consensus has the members that it asked
// for. What is not told is told again.
func (p *Partition) finishChange() {
	p.changing.busy = true
	m := &stepOver{p.disk.life}
	p.house.decide(cluster.FinishChange{Group: p.seat.group, Change: p.seat.change}, func(_ cluster.Result, err error) {
		if err == nil {
			p.house.seen(SeenMoved)
		}
		p.house.clock.After(p.house.jitter(retryEvery), func() { p.post(m) })
	})
}

// stepOver is the end of a step: the next one may be taken.
func (p *Partition) stepOver(m *stepOver) {
	if m.life == p.disk.life {
		p.changing.busy = false
		p.drive()
	}
}
