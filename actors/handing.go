package actors

import "github.com/troupe-mq/troupe/codec"

// handing is a leadership on its way to another replica. Batches that come meanwhile
// wait (held.go). Those that were let in before are committed first, so that nobody has to be
// told that an outcome is not known; then the other one has nothing to catch up with.
type handing struct {
	to     codec.ReplicaID // 0: nothing is handed over
	anyone bool            // whoever follows may lead in its place
	begun  bool            // the other one is asked to stand
	ticks  int
}

// relinquish hands leadership over to whoever has most of the log.
func (p *Partition) relinquish() {
	if p.mind == nil || p.disk.closed || !p.mind.Role().Leader {
		return
	}
	if to := p.best(); to != 0 {
		p.handTo(to)
		p.handing.anyone = p.handing.to != 0
	}
}

// heirGone gives leadership that was on its way to a broker which has ended to another
// one, or keeps it: raft would wait until an election timeout is over.
func (p *Partition) heirGone(node codec.NodeID) {
	if heir, known := p.nodeOf(p.handing.to); !known || heir != node {
		return
	}
	anyone := p.handing.anyone
	p.handing = handing{}
	p.mind.Transfer(p.seat.id) // to itself: raft gives the other transfer up
	if anyone {
		p.relinquish()
	}
	p.decided()
}

// drainTicks is how long what was let in may take before it is handed over anyway.
const drainTicks = 5

// handTo hands leadership over, unless that is being done.
func (p *Partition) handTo(id codec.ReplicaID) {
	if p.mind == nil || !p.serving || p.handing.to != 0 {
		return
	}
	p.handing = handing{to: id}
	p.pub.edge.Store(nil)
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
