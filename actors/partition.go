package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// Partition is the body of one replica: the mailbox around a replica.Mind and
// a wal.Log. It decides nothing about order or commitment; it carries out
// what the mind says, and tells readers.
type Partition struct {
	house *house
	seat  seat
	pub   *Handle // what is published of this replica
	self  *actor.PID

	disk    disk
	mind    *replica.Mind
	machine machine // nil for a topic's partition

	requests requests // let in and not answered
	waiting  held     // not let in yet, for nobody knows who leads
	handing  handing  // of leadership
	waiters  waiters
	results  map[codec.Index]any // of the commands just applied
	flushing bool                // a flush stands in the mailbox
	serving  bool                // has led and applied in its term since it was opened
	wrote    bool                // since the last rest
	trouble  *codec.Error        // why this replica takes no writes; nil when it does
	sick     codec.Code          // what the matter is then
	born     int                 // tells this instance from those before it
	snapAt   codec.Index         // index of the last snapshot asked for
	leaving  *closing            // set while a close waits for the disk

	// Of a group of several replicas.
	store     *storage
	snapped   wal.Snapshot       // the machine's newest on the disk
	conf      replica.ConfChange // the configuration that applies
	payloads  payloads
	given     codec.Index             // the last entry given to the disk
	reading   map[codec.ReplicaID]int // letters that wait for the disk to read
	snapshots []snapshotSent          // not yet told to the mind
	mute      bool                    // says nothing to others, for the disk hangs
	ticks     int
	line      codec.Index                      // the commit index at the last look
	held      map[codec.ReplicaID]codec.Millis // when a replica was seen to hold it
	joining   map[codec.ReplicaID]codec.Millis // since when a learner is known
	changing  changing
	fit       fitness
	ended     map[codec.ReplicaID]bool         // as this leader knows: their brokers have, and are not heard since
	strangers map[codec.ReplicaID]codec.NodeID // heard, and not among the members
}

// seat says which replica a Partition is the body of.
type seat struct {
	group    codec.GroupID
	id       codec.ReplicaID
	name     string // topic/partition, for people
	dir      string
	settings settings
	members  []cluster.Replica // of the group, this one included
	change   uint64            // of members, when it is under way
	joins    bool              // came to a group that there was already
	machine  func() machine    // makes the state machine; nil for none
}

// with is s with the settings and members that the handle has now.
func (s seat) with(h *Handle) seat {
	s.settings = *h.set.Load()
	if m := h.members.Load(); m != nil {
		s.members = m.list
		s.change = m.change
	}
	return s
}

// Receive is the life of one replica. It only names what happens; each method
// runs to its end and none waits. A turn that panics answers everyone before
// the supervisor hears of it.
func (p *Partition) Receive(c actor.Context) {
	panicked := true
	defer func() {
		if panicked {
			p.crashed()
		}
	}()
	p.receive(c)
	panicked = false
}

func (p *Partition) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		p.self = c.Self()
		p.open()
	case *opened:
		p.opened(m)
	case *Produce:
		p.produce(m)
	case *propose:
		p.propose(m)
	case *trim:
		p.trim(m)
	case flush:
		p.flush()
	case *persisted:
		p.persisted(m)
	case *stepDone:
		p.stepDone(m)
	case *await:
		p.await(m)
	case *deadline:
		p.waiters.leave(m.of)
	case *forget:
		p.waiters.drop(m.of)
	case *configure:
		p.configure(m)
	case *heard:
		p.heard(m)
	case *sent:
		p.sentFromDisk(m)
	case *installed:
		p.installed(m)
	case *gone:
		p.brokerGone(m)
	case *transfer:
		p.transfer(m)
	case heldOver:
		p.heldOver(m)
	case relinquish:
		p.relinquish()
	case *stepOver:
		p.stepOver(m)
	case *findEdge:
		p.findEdge(m)
	case *inspect:
		p.inspect(m)
	case stand:
		p.stand(m)
	case housework:
		if m.born == p.born { // not that of an instance before this one
			p.housework()
		}
	case tick:
		p.tick(m.steps)
	case *damaged:
		p.found(m)
	case retry:
		p.lookForRoom(m)
	case *room:
		p.roomFound(m)
	case *closing:
		p.close(m)
	case *closeNow:
		if p.leaving == m.of {
			p.finish(m.of)
		}
	case *burying:
		p.bury(m)
	}
}

// post sends m to this actor, from a port.
func (p *Partition) post(m any) { p.house.send(p.self, m) }

// carryOut does what the mind asks for.
func (p *Partition) carryOut(e replica.Effects) {
	if p.mind != nil {
		p.pub.end.Store(int64(p.mind.Next())) // before anybody hears of it
	}
	for _, a := range e.Appends {
		p.persist(a)
	}
	p.payloads.declined()
	p.sendAll(e.Messages)
	if e.Conf != nil {
		// Before what is applied with it: a snapshot of the machine that is written then
		// must not be durable without its configuration, which nobody would look for any
		// more.
		conf := *e.Conf
		p.conf = conf
		p.disk.step("configuration", func(l *wal.Log) error { return l.SetConf(conf.State, conf.Index) }, nil)
	}
	if len(e.Committed) > 0 {
		p.apply(e.Committed)
	}
	p.answer(e.Answers)
	if e.Role != nil && p.mind != nil { // the last answer may have ended this replica
		p.follow(*e.Role)
	}
	p.reportSnapshots()
}

// apply takes committed entries in: the machine changes, the watermark moves,
// and whoever waits at the tail is told.
func (p *Partition) apply(list []replica.Entry) {
	last := list[len(list)-1].Index
	p.disk.index.Commit(last)
	for i := range list {
		p.applyOne(&list[i])
	}
	if p.machine != nil {
		p.machine.settled()
		p.regroup()
		p.snapshotMachine(last)
	}
	p.publish()
	if role := p.mind.Role(); role.Leader && list[len(list)-1].Term == role.Term {
		p.serve(role)
	}
}

func (p *Partition) applyOne(e *replica.Entry) {
	if len(e.Data) == 0 || e.Type != 0 {
		return
	}
	switch codec.EntryKind(e.Data[0]) {
	case codec.EntryStart:
		start, _, err := codec.ParseStartEntry(e.Data)
		if err != nil {
			panic("actors: committed entry does not hold: " + err.Error())
		}
		p.disk.index.SetStart(start)
	case codec.EntryCommand:
		if p.machine == nil {
			panic(fmt.Sprintf("actors: %s has a command at entry %d and no machine", p.seat.name, e.Index))
		}
		p.results[e.Index] = p.machine.apply(e.Index, e.Data[1:])
	}
}

// answer gives outcomes to those who asked.
func (p *Partition) answer(list []replica.Answer) {
	for i := range list {
		a := &list[i]
		if m, is := a.Token.(*findEdge); is {
			p.foundEdge(m, a.Err)
			continue
		}
		if a.Err == nil && a.Index == 0 {
			p.house.seen(SeenDuplicate)
		} else if codec.CodeOf(a.Err) == codec.Unknown {
			p.house.seen(SeenUnknown)
		}
		switch m := a.Token.(type) {
		case *Produce:
			p.requests.remove(m)
			if a.Err == nil {
				p.pub.produced.add(int64(m.batch.Count()), int64(len(m.batch)))
			}
			m.answer(codec.Produced{Base: a.Base, AppendTime: a.AppendTime}, a.Err)
		case *propose:
			p.requests.remove(m)
			m.answer(p.results[a.Index], a.Err)
		case *stepOver:
			p.post(m)
		case nil:
		default:
			panic(fmt.Sprintf("actors: %s has an answer for a %T", p.seat.name, m))
		}
	}
	clear(p.results)
	p.handOn()
	p.finishIfAnswered()
}

// publish shows readers what is committed, and wakes those at the tail. A log that
// was opened again may know less of that than it did before: what was shown stays,
// until it knows as much.
func (p *Partition) publish() {
	v := p.disk.index.View()
	if old := p.pub.view.Load(); old != nil && (v.HighWatermark() < old.HighWatermark() || v.Start() < old.Start()) {
		return
	}
	p.pub.view.Store(v)
	p.waiters.passed(v.HighWatermark())
}

// crashed is the end of an instance whose turn panicked. Its successor opens
// the log again, behind the closing on the same lane.
func (p *Partition) crashed() {
	err := codec.Errorf(codec.Unknown, "%s failed and is restarted: the batch may or may not be in the log", p.seat.name)
	p.requests.failAll(err)
	p.refuseHeld(unavailable(p.seat.name))
	p.waiters.all()
	p.pub.publishState(state{write: unavailable(p.seat.name), read: unavailable(p.seat.name)})
	p.disk.letGo()
	if m := p.leaving; m != nil {
		p.leaving = nil
		p.disk.lane.Do(m.done)
	}
}

func unavailable(name string) *codec.Error {
	return codec.Errorf(codec.Unavailable, "%s is being opened", name)
}
