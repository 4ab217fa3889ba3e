package actors

import "github.com/troupe-mq/troupe/codec"

// handing is a leadership on its way to another replica. Batches that come meanwhile
// wait (held.go). Those that were let in before are committed first, so that nobody has to be
// told that an outcome is not known; then the other one has nothing to catch up with.
type handing struct {
	to    codec.ReplicaID // 0: nothing is handed over
	begun bool            // the other one is asked to stand
	ticks int
}

// drainTicks is how long what was let in may take before it is handed over anyway.
const drainTicks = 5

// handTo hands leadership over, unless that is being done.
func (p *Partition) handTo(id codec.ReplicaID) {
	if p.mind == nil || !p.serving || p.handing.to != 0 {
		return
	}
	p.handing = handing{to: id}
	p.handOn()
}

// handOn asks the other one to stand when nothing is in flight.
func (p *Partition) handOn() {
	if p.handing.to == 0 || p.handing.begun || p.mind == nil || p.mind.InFlight() > 0 && p.handing.ticks < drainTicks {
		return
	}
	p.handing.begun = true
	p.mind.Transfer(p.handing.to)
	p.flushSoon()
}

// handingTick looks whether it still goes on: raft gives up after an election timeout.
func (p *Partition) handingTick(steps int) {
	if p.handing.to == 0 {
		return
	}
	p.handing.ticks += steps
	p.handOn()
	if p.handing.begun && p.mind.HandsTo() == 0 {
		p.handing = handing{}
		p.decided()
	}
}
