package actors

import (
	"time"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
)

const (
	// hangAfter is how long the disk of a leader may be at one write before it
	// hands its leadership over: two election timeouts.
	hangAfter = 2 * replica.ElectionTicks * tickEvery
	// standAfter is within which time a follower stands for election when its
	// leader's process has ended. Each draws its own, so that one is first.
	standAfter = 200 * time.Millisecond
	// standTries is how often it does; then it waits for its election timeout.
	standTries = 8
	// syncAfter is how long a replica may lag and still count as in sync.
	syncAfter = 10 * time.Second
	// holdFor is how long old segments are kept for a replica that lags.
	holdFor = time.Minute
	// joinWithin is how long they are kept for one that joins.
	joinWithin = 10 * time.Minute
	// lookEvery is how many ticks there are between looks at the others.
	lookEvery = 10
)

// tick is some steps of raft's time. A group of one needs none: it has nobody to
// hear from.
func (p *Partition) tick(steps int) {
	p.pub.ticking.Store(false)
	if p.mind == nil || p.disk.closed || !p.replicated() {
		return
	}
	if p.hangs() {
		return
	}
	for range steps {
		p.mind.Tick()
	}
	p.handingTick(steps)
	p.carryOut(p.mind.Take())
	was := p.ticks
	if p.ticks += steps; p.ticks/lookEvery > was/lookEvery {
		p.look()
	}
}

// hangs says whether the disk has not answered for too long. Then this replica
// must not lead: what it is sent would wait for the disk, while its heartbeats
// kept others from leading. It offers its leadership to one that follows, and
// falls silent.
func (p *Partition) hangs() bool {
	hang := p.disk.oldest(p.house.clock.Now()) > codec.Millis(hangAfter.Milliseconds())
	if hang && !p.mute && p.mind.Role().Leader {
		p.house.log.Error("the disk of a leader hangs: it gives its leadership up", "partition", p.seat.name, "after", hangAfter)
		p.house.seen(SeenHang)
		if to := p.best(); to != 0 {
			p.pub.edge.Store(nil)
			p.mind.Transfer(to)
			p.carryOut(p.mind.Take())
		}
	}
	p.mute = hang
	return hang
}

// best is the voter that has most of the log, of those whose brokers live if there are
// any; 0 when none follows. Where nothing is written the dead have as much as others.
func (p *Partition) best() (id codec.ReplicaID) {
	most, alive := codec.Index(0), false
	for _, o := range p.mind.Peers() {
		if o.Learner || !o.Following {
			continue
		}
		lives := !p.ended[o.ID]
		if id == 0 || lives && !alive || lives == alive && o.Match > most {
			id, most, alive = o.ID, o.Match, lives
		}
	}
	return id
}

// transfer asks a leader to hand leadership over.
type transfer struct{ to codec.NodeID }

func (p *Partition) transfer(m *transfer) {
	if p.mind == nil {
		return
	}
	for _, r := range p.seat.members {
		if r.Node == m.to && r.ID != p.seat.id {
			p.handTo(r.ID)
			return
		}
	}
}

// brokerGone has a leader pass by the replica of a broker that has ended, and makes a
// follower of one look for another leader now. Whether it is elected is for the others
// to say.
func (p *Partition) brokerGone(m *gone) {
	if p.mind == nil || p.disk.closed {
		return
	}
	role := p.mind.Role()
	if role.Leader {
		p.pub.edge.Store(nil) // others may have been told of this one what it was told of them
		p.noteEnded(m.node)
		p.heirGone(m.node)
		return
	}
	if node, ok := p.nodeOf(role.Lead); !ok || node != m.node {
		return
	}
	p.house.seen(SeenForgotten)
	p.mind.ForgetLeader()
	p.carryOut(p.mind.Take())
	p.standSoon(standTries)
}

// noteEnded notes that the broker of a follower has ended.
func (p *Partition) noteEnded(node codec.NodeID) {
	for _, o := range p.mind.Peers() {
		if where, _ := p.nodeOf(o.ID); where == node {
			if p.ended == nil {
				p.ended = make(map[codec.ReplicaID]bool)
			}
			p.ended[o.ID] = true
		}
	}
}

// stand asks a follower to stand for election, unless there is a leader by then.
type stand struct {
	life  int
	tries int // that are left
}

func (p *Partition) standSoon(tries int) {
	m := stand{p.disk.life, tries}
	p.house.clock.After(p.house.within(standAfter), func() { p.post(m) })
}

// stand is tried again, for two that stand at once take each other's votes, and then
// both would wait for an election timeout. A candidate whose own vote is on its way to the
// disk has asked nobody yet: it would only give up what is about to begin.
func (p *Partition) stand(m stand) {
	if p.mind == nil || m.life != p.disk.life || p.disk.closed {
		return
	}
	if role := p.mind.Role(); role.Leader || role.Lead != 0 {
		return
	}
	if len(p.disk.writing) == 0 {
		p.mind.Campaign()
		p.carryOut(p.mind.Take())
	}
	if m.tries > 1 && p.mind != nil {
		p.standSoon(m.tries - 1)
	}
}

// look finds out which replicas hold what is committed.
func (p *Partition) look() {
	if !p.serving {
		p.held = nil
		return
	}
	now := p.house.clock.Now()
	if p.held == nil {
		p.held = make(map[codec.ReplicaID]codec.Millis)
	}
	inSync := []codec.NodeID{p.house.node}
	peers := p.mind.Peers()
	p.glance(peers)
	p.balance(peers)
	for _, o := range peers {
		if o.Learner && p.joining[o.ID] == 0 {
			if p.joining == nil {
				p.joining = make(map[codec.ReplicaID]codec.Millis)
			}
			p.joining[o.ID] = now
		}
		if o.Match >= p.line && o.Heard { // where nothing is written, all that ever followed have it
			p.held[o.ID] = now
		}
		node, known := p.nodeOf(o.ID)
		if at, ever := p.held[o.ID]; ever && known && !o.Learner && now-at <= codec.Millis(syncAfter.Milliseconds()) {
			inSync = append(inSync, node)
		}
	}
	p.line = p.mind.Commit()
	p.pub.inSync.Store(&inSync)
	p.drive()
}
