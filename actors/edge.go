package actors

import (
	"github.com/troupe-mq/troupe/codec"
)

// The edge of a log, as readers ask about it. What a reader has come to at one replica may
// be above the watermark of another, also of the leader's: that tells others what is
// committed a moment before it shows it, and one that was deposed and has not heard of it
// lacks what was stored since. So an offset is above the end of the log when it is above
// all that the leader has, committed or not, and a majority has said since that it leads.
// Until then the answer is OFFSET_NOT_AVAILABLE, with which readers come again.

// edge is where the log of a replica ended, and a moment at which it led for certain: when
// the others were asked, for they may have answered long before the answer came.
type edge struct {
	end codec.Offset
	at  codec.Millis
}

// edgeFor is how long an edge is believed: for longer than readers rest between two
// attempts, and not for as long as it takes until somebody else may be elected.
const edgeFor = codec.Millis(1000)

// findEdge has a leader find out where its log ends for certain. It is the token of what
// the mind confirms, as well.
type findEdge struct{ asked codec.Millis }

// beyond says that an offset is above the end of the log; nil when it may only not be
// there yet.
func (h *Handle) beyond(offset codec.Offset) error {
	if !h.leads() {
		return nil
	}
	// Loaded after that: whoever leads has all that is committed.
	end := codec.Offset(h.end.Load())
	if offset <= end {
		return nil
	}
	if !h.sole() && !codec.Mutant("end-of-a-stale-leader") {
		e := h.edge.Load()
		if e == nil || !e.fresh(h.house.clock.Now()) {
			if h.seeking.CompareAndSwap(false, true) {
				h.tell(&findEdge{}, func(error) { h.seeking.Store(false) })
			}
			return nil
		}
		if end = e.end; offset <= end {
			return nil
		}
	}
	return codec.Errorf(codec.OffsetOutOfRange, "offset %d is above the end of the log, %d", offset, end)
}

// fresh says that the edge is still believed. A clock that went back makes it old.
func (e *edge) fresh(now codec.Millis) bool { return e.at <= now && now-e.at <= edgeFor }

// sole says that there is no other replica, and so nobody else who may lead.
func (h *Handle) sole() bool {
	all := h.members.Load()
	return all == nil || len(all.list) == 1 && all.change == 0
}

// findEdge asks the others whether this replica leads.
func (p *Partition) findEdge(m *findEdge) {
	if p.mind == nil || p.disk.closed || !p.serving || !p.mind.Role().Leader {
		p.pub.seeking.Store(false)
		return
	}
	m.asked = p.house.clock.Now()
	p.mind.Confirm(m)
	p.carryOut(p.mind.Take())
}

// foundEdge is that they have said so, or not.
func (p *Partition) foundEdge(m *findEdge, err error) {
	if err == nil && p.serving && p.handing.to == 0 {
		p.pub.edge.Store(&edge{p.mind.Next(), m.asked})
	}
	p.pub.seeking.Store(false)
}
