package actors

import (
	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/codec"
)

// Who leads, as a partition learns it from its mind and publishes it.

// serve opens the replica to readers and writers, once it leads and knows
// what is committed.
func (p *Partition) serve(role replica.Role) {
	if p.serving {
		return
	}
	p.serving = true
	p.pub.publishState(state{open: true, leader: true, term: role.Term, lead: p.house.node})
	p.house.toBroker(&ready{group: p.seat.group, replica: p.seat.id})
	if p.house.link != nil {
		p.house.send(p.house.herald, &leading{p.seat.group})
	}
	p.post(&stepOver{life: p.disk.life})
	p.decided()
}

// follow notes who leads, and sends writers there.
func (p *Partition) follow(role replica.Role) {
	p.fit, p.ended = fitness{}, nil // what was seen in an earlier leadership
	if role.Leader {
		p.elected(role)
		return
	}
	defer p.decided()
	p.handing = handing{}
	if p.serving && len(p.disk.writing) > 0 {
		p.house.seen(SeenFlushLost)
	}
	p.serving = false
	p.pub.inSync.Store(nil)
	p.pub.edge.Store(nil)
	if !p.replicated() {
		return
	}
	lead, _ := p.nodeOf(role.Lead)
	why := codec.Errorf(codec.Unavailable, "%s has no leader now", p.seat.name)
	if lead != "" {
		why = codec.Errorf(codec.NotLeader, "%s is led by %s", p.seat.name, lead)
		why.Leader = p.house.addressOf(lead)
	}
	next := state{open: true, term: role.Term, lead: lead, write: why, holds: lead == "" && p.machine == nil}
	if lead == "" {
		if next.alone = p.pub.state.Load().alone; next.alone == 0 {
			next.alone = p.house.clock.Now()
		}
	}
	p.pub.publishState(next)
	if lead != "" {
		p.house.toBroker(&ready{group: p.seat.group, replica: p.seat.id})
	}
}

// elected notes that this replica leads. It serves once it knows what is committed;
// until then batches wait here, and are not sent to whoever led before.
func (p *Partition) elected(role replica.Role) {
	p.house.tallies.leaderChanges.Add(1)
	if p.serving || p.machine != nil || !p.replicated() {
		return
	}
	why := codec.Errorf(codec.Unavailable, "%s has a new leader, which has not committed yet", p.seat.name)
	p.pub.publishState(state{open: true, term: role.Term, lead: p.house.node, write: why, holds: true})
}
