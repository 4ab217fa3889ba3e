package actors

import (
	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// changing is a partition's part in a change of its group's members: the leader
// takes the change on, then one step at a time, and says in the metadata when
// there is none left.
type changing struct {
	step  *stepOver  // that is under way
	taken taken      // what this replica has taken on
	joint codec.Term // in which it began a joint configuration
}

// taken is a change, and the term of the leader that took it on.
type taken struct {
	change uint64
	term   codec.Term
}

// stepOver says that a step is over, whatever came of it; it is also what the
// step is answered by. One that was not under way only asks for the next.
type stepOver struct {
	life  int
	taken taken // what the step took on; zero for nothing
}

// drive takes a leader's next step. It is called when there may be one: the
// metadata has changed, a step is over, some time has passed.
func (p *Partition) drive() {
	if p.machine == nil && p.seat.change == 0 || p.changing.step != nil || !p.serving || p.mind == nil || p.disk.closed {
		return
	}
	if p.machine != nil {
		p.driveMetadata()
		return
	}
	if now := (taken{p.seat.change, p.mind.Role().Term}); p.changing.taken != now {
		p.takeChange(now)
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
	step := p.mind.Toward(replica.Members{Voters: staying, Ready: func(id codec.ReplicaID) bool { return ready[id] }})
	switch {
	case step.Done || codec.Mutant("finished-too-early"):
		p.finishChange()
	case step.Transfer != 0:
		p.handTo(step.Transfer)
	case step.Conf != nil:
		p.proposeStep(step)
	}
}

// proposeStep has consensus decide a step.
func (p *Partition) proposeStep(step replica.Step) {
	token := &stepOver{life: p.disk.life}
	if err := p.mind.ProposeConf(step.Conf, token); err != nil {
		return // there is another way in a while
	}
	p.changing.step = token
	term := p.mind.Role().Term
	if step.Enters() {
		p.changing.joint = term
	} else if step.Leaves() && p.changing.joint != term {
		p.house.seen(SeenJointLeft)
	}
	p.flushSoon()
}

// takeChange tells the metadata who leads the group, before anything is done. When
// that is decided, this is the newest change, and no leader of an earlier term, which
// may have slept and see other members, can say that it is done.
func (p *Partition) takeChange(now taken) {
	m := &stepOver{life: p.disk.life}
	p.changing.step = m
	p.house.decide(cluster.TakeChange{Group: p.seat.group, Change: now.change, Term: now.term}, func(_ cluster.Result, err error) {
		if err != nil {
			p.house.clock.After(p.house.jitter(retryEvery), func() { p.post(m) })
			return
		}
		m.taken = now
		p.post(m)
	})
}

// finishChange tells the metadata that consensus has the members that it asked
// for. What is not told is told again.
func (p *Partition) finishChange() {
	m := &stepOver{life: p.disk.life}
	p.changing.step = m
	do := cluster.FinishChange{Group: p.seat.group, Change: p.seat.change, Term: p.changing.taken.term}
	p.house.decide(do, func(_ cluster.Result, err error) {
		if err == nil {
			p.house.seen(SeenMoved)
		}
		p.house.clock.After(p.house.jitter(retryEvery), func() { p.post(m) })
	})
}

// stepOver is the end of a step: the next one may be taken.
func (p *Partition) stepOver(m *stepOver) {
	if m.life != p.disk.life {
		return
	}
	if p.changing.step == m {
		p.changing.step = nil
	}
	if m.taken != (taken{}) {
		p.changing.taken = m.taken
	}
	p.drive()
}
