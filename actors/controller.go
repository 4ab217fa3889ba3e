package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// controller looks after the cluster beside the leader of the metadata; on other
// brokers nobody tells it anything. Each look is at what there is, and ends with one
// command at most, which counts only if the metadata are still what it saw. It
// remembers nothing but since when whom it sees has answered.
type controller struct {
	house *house
	term  codec.Term // of the leader whose looks those are
	heard map[codec.ReplicaID]*hearing
	now   codec.Millis // of looks: no clock that jumps
	busy  bool
}

// hearing is what is known of one replica's answers.
type hearing struct {
	since codec.Millis // it has answered
	last  codec.Millis // it answered, or this leader began
	ever  bool
}

// silentAfter is for how long a replica may be quiet and still answers: looks fall
// between its answers.
const silentAfter codec.Millis = 3_000

// glance is a look of the metadata's leader at its group.
type glance struct {
	term   codec.Term
	self   codec.ReplicaID
	config replica.Configuration
	peers  []replica.Peer
	line   codec.Index // what was decided at the look before
}

// advised is the end of a command that the controller gave.
type advised struct{ err error }

// Receive names what the controller is told.
func (c *controller) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *glance:
		c.look(m, ctx.Self())
	case *advised:
		c.busy = false
		if m.err != nil {
			c.house.log.Debug("a step of the controller was not decided", "error", m.err)
		}
	}
}

// look takes one step, when there is one.
func (c *controller) look(g *glance, self *actor.PID) {
	s := c.house.state()
	if s == nil {
		return
	}
	sight := c.see(g)
	silent := sight.Silent(*s)
	c.house.silent.Store(&silent)
	do := cluster.Advise(*s, sight)
	if do == nil || c.busy {
		return
	}
	c.busy = true
	c.house.log.Info("the cluster changes", "step", do)
	c.house.command(cluster.Command{Expect: s.Revision, Do: do}, func(_ cluster.Result, err error) {
		c.house.send(self, &advised{err})
	})
}

// see adds the time to a glance.
func (c *controller) see(g *glance) cluster.Sight {
	if c.term != g.term {
		c.term, c.heard = g.term, make(map[codec.ReplicaID]*hearing)
	}
	c.now += codec.Millis((lookEvery * tickEvery).Milliseconds())
	now := c.now
	sight := cluster.Sight{Self: g.self, Members: []codec.ReplicaID{g.self}, Voters: g.config.Voters, Changing: g.config.Joint, Peers: make(map[codec.ReplicaID]cluster.Peer)}
	for _, o := range g.peers {
		sight.Members = append(sight.Members, o.ID)
		h := c.heard[o.ID]
		if h == nil {
			h = &hearing{last: now}
			c.heard[o.ID] = h
		}
		switch {
		case !o.Heard:
		case !h.ever || now-h.last > silentAfter:
			h.ever, h.since, h.last = true, now, now
		default:
			h.last = now
		}
		p := cluster.Peer{CaughtUp: o.Following && o.Match >= g.line}
		if h.ever && now-h.last <= silentAfter {
			p.Answers = max(1, now-h.since)
		} else {
			p.Silent = max(1, now-h.last)
		}
		sight.Peers[o.ID] = p
	}
	slices.Sort(sight.Members)
	return sight
}

// glance tells the controller what the metadata's leader sees.
func (p *Partition) glance(peers []replica.Peer) {
	if p.machine == nil || p.house.link == nil {
		return
	}
	p.house.send(p.house.controller, &glance{term: p.mind.Role().Term, self: p.seat.id, config: p.mind.Members(), peers: peers, line: p.line})
}
