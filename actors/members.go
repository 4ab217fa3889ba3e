package actors

import (
	"slices"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// The members of the metadata's group are part of the metadata itself. Each replica
// takes them from the state that it has applied, and the leader takes its group to
// where they say. Nobody takes a change on as with a partition: a leader of before has
// nothing decided in this very log.

// grouped is a machine that says who the members of its own group are.
type grouped interface{ members() []cluster.Replica }

// members are the replicas of the metadata; none before the founding is known.
func (m *metadata) members() []cluster.Replica { return m.state.Metadata }

// regroup takes the members from the machine, when it knows some.
func (p *Partition) regroup() {
	g, ok := p.machine.(grouped)
	if !ok || len(g.members()) == 0 || slices.Equal(g.members(), p.seat.members) {
		return
	}
	p.seat.members = g.members()
	p.pub.members.Store(&members{list: p.seat.members})
	p.post(&stepOver{life: p.disk.life}) // effects are being carried out
}

// driveMetadata takes the next step towards the members that the metadata has now.
// Who leaves votes until another list of voters was decided.
func (p *Partition) driveMetadata() {
	g, ok := p.machine.(grouped)
	if !ok || len(g.members()) == 0 {
		return
	}
	want := replica.Members{Ready: func(codec.ReplicaID) bool { return true }}
	for _, r := range g.members() {
		switch {
		case !r.Learner:
			want.Voters = append(want.Voters, r.ID)
		case !r.Leaving:
			want.Learners = append(want.Learners, r.ID)
		}
	}
	switch step := p.mind.Toward(want); {
	case step.Transfer != 0:
		p.handTo(step.Transfer)
	case step.Conf != nil:
		p.proposeStep(step)
	}
}

// alone says that a replica is all that its group has. One of the metadata may not
// know yet who the members are, or that it is one.
func alone(g codec.GroupID, list []cluster.Replica, id codec.ReplicaID) bool {
	if g != codec.MetadataGroup {
		return len(list) <= 1
	}
	return len(list) == 1 && list[0].ID == id
}

// met notes where a replica of the metadata lives that this one has heard and does
// not know. One that has just joined knows nobody, and has to answer.
func (p *Partition) met(id codec.ReplicaID, node codec.NodeID) {
	if p.machine == nil {
		return
	}
	if p.strangers == nil {
		p.strangers = make(map[codec.ReplicaID]codec.NodeID)
	}
	p.strangers[id] = node
}
