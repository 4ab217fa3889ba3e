package actors

import (
	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
)

// fitness is how long the preferred leader of a partition has been fit to lead, as the
// leader sees it.
type fitness struct {
	replica codec.ReplicaID
	since   codec.Millis
	heard   codec.Millis // last
}

const (
	// quietFor is how long all has to be well before leadership goes back: a broker
	// that has just come is not given back what it may lose again.
	quietFor codec.Millis = 10_000
	// handEvery is how much time a broker lets pass between two partitions that it
	// hands over.
	handEvery codec.Millis = 50
)

// balance hands leadership back to the preferred leader, the first of the replicas,
// when that has answered and been in sync for a while. So brokers that come back lead
// again, and no broker leads everything.
func (p *Partition) balance(peers []replica.Peer) {
	now := codec.Millis(p.ticks) * codec.Millis(tickEvery.Milliseconds()) // no clock that jumps
	if p.machine != nil || p.seat.change != 0 || len(p.seat.members) == 0 || p.seat.members[0].ID == p.seat.id {
		p.fit = fitness{}
		return
	}
	preferred := p.seat.members[0].ID
	if p.fit.replica != preferred {
		p.fit = fitness{replica: preferred, since: now}
	}
	for _, o := range peers {
		if o.ID != preferred {
			continue
		}
		if o.Heard {
			p.fit.heard = now
		}
		if p.ended[o.ID] || o.Learner || !o.Following || o.Match < p.line || now-p.fit.heard > silentAfter {
			break
		}
		if now-p.fit.since >= quietFor && p.house.mayHand(p.house.clock.Now()) {
			p.fit = fitness{}
			p.house.seen(SeenBalanced)
			p.handTo(preferred)
		}
		return
	}
	p.fit = fitness{}
}

// mayHand says whether another partition may be handed over now.
func (h *house) mayHand(now codec.Millis) bool {
	last := h.handed.Load()
	return (now-codec.Millis(last) >= handEvery || now < codec.Millis(last)) && h.handed.CompareAndSwap(last, int64(now))
}
