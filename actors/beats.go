package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-mq/troupe/codec"
)

// drummerName is the id of the actor that sends heartbeats.
const drummerName = "drummer"

// beatsWithin is how long a heartbeat, or its answer, waits for others that go to the
// same broker. A tick reaches all replicas of a broker at once, so most of what it
// makes them say leaves in one letter; to a follower it is a tenth of a tick.
const beatsWithin = 10 * time.Millisecond

// drummer sends the heartbeats of all replicas here, and their answers to those of
// others, in one letter for each broker. It knows nothing of what they say: each was
// said by its replica, so one that is stuck is silent.
type drummer struct {
	house   *house
	self    *actor.PID
	to      []codec.NodeID // for whom some wait, in the order of their first
	waiting map[codec.NodeID][]codec.Beat
}

// Messages to the drummer.
type (
	// drum is one beat for a broker.
	drum struct {
		to   codec.NodeID
		beat codec.Beat
	}
	// drumsDue says that those that wait have waited long enough.
	drumsDue struct{}
)

// Receive names what the drummer is told.
func (d *drummer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		d.self, d.waiting = ctx.Self(), map[codec.NodeID][]codec.Beat{}
	case *drum:
		d.add(m)
	case drumsDue:
		for _, node := range d.to {
			d.send(node)
		}
		d.to = d.to[:0]
	}
}

func (d *drummer) add(m *drum) {
	list := append(d.waiting[m.to], m.beat)
	d.waiting[m.to] = list
	if len(d.to) == 0 {
		d.house.clock.After(d.house.jitter(beatsWithin), func() { d.house.send(d.self, drumsDue{}) })
	}
	if !slices.Contains(d.to, m.to) {
		d.to = append(d.to, m.to)
	}
	if len(list) == codec.BeatsMax {
		d.send(m.to)
	}
}

// send has a letter leave with what waits for a broker, if anything does.
func (d *drummer) send(node codec.NodeID) {
	list := d.waiting[node]
	d.waiting[node] = list[:0]
	if len(list) == 0 {
		return
	}
	if codec.Mutant("one-commit-for-all") {
		first := slices.IndexFunc(list, func(b codec.Beat) bool { return !b.Answer })
		for i := range list {
			if !list[i].Answer {
				list[i].Commit = list[first].Commit
			}
		}
	}
	l := codec.Beats{Cluster: d.house.cluster, Disk: d.house.disk, List: list}
	d.house.link.Send(node, [][]byte{l.Encode()})
}

// beats says whether a message is a heartbeat, or an answer to one, that nobody waits
// for. One with a context is a question who still leads: it goes by itself, at once.
func beats(m *raftpb.Message) bool {
	t := m.GetType()
	return (t == raftpb.MsgHeartbeat || t == raftpb.MsgHeartbeatResp) && len(m.GetContext()) == 0
}

// beatOf is a message that beats.
func beatOf(g codec.GroupID, m *raftpb.Message) codec.Beat {
	return codec.Beat{Answer: m.GetType() == raftpb.MsgHeartbeatResp, Group: g, From: codec.ReplicaID(m.GetFrom()), To: codec.ReplicaID(m.GetTo()),
		Term: codec.Term(m.GetTerm()), Commit: codec.Index(m.GetCommit())}
}

// heardBeat is a beat that came, in one piece of memory.
type heardBeat struct {
	heard
	message                raftpb.Message
	from, to, term, commit uint64
}

func hearBeat(node codec.NodeID, b codec.Beat) *heard {
	m := &heardBeat{from: uint64(b.From), to: uint64(b.To), term: uint64(b.Term), commit: uint64(b.Commit)}
	m.message.Type, m.message.From, m.message.To, m.message.Term = raftpb.MsgHeartbeatResp.Enum(), &m.from, &m.to, &m.term
	if !b.Answer {
		m.message.Type, m.message.Commit = raftpb.MsgHeartbeat.Enum(), &m.commit
	}
	m.node, m.heard.from, m.heard.to, m.raft = node, b.From, b.To, &m.message
	return &m.heard
}

// hearBeats gives each beat of a letter to the replica that it is for.
func (b *Broker) hearBeats(from codec.NodeID, p []byte) error {
	l, err := codec.ParseBeats(p)
	if err != nil {
		return err
	}
	groups := b.table.Load().groups
	below, why := b.strangeDisk(from, l.Disk)
	for i := range l.List {
		if l.List[i].From < below {
			err = why
			continue
		}
		if h := groups[l.List[i].Group]; h != nil { // else it is not kept here, or not yet
			h.tell(hearBeat(from, l.List[i]), func(error) {})
		}
	}
	return err
}
