package replica

import (
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Step is what a leader does next to bring its group to other members. At most
// one of its fields says something; none means to wait.
type Step struct {
	Conf     *raftpb.ConfChangeV2 // is to be proposed
	Transfer codec.ReplicaID      // is to lead first
	Done     bool                 // the members are those that were asked for
}

// Enters says that the step begins a joint configuration.
func (s Step) Enters() bool { return s.Conf != nil && s.Conf.GetTransition() != 0 }

// Leaves says that the step ends a joint configuration.
func (s Step) Leaves() bool { return s.Conf != nil && len(s.Conf.GetChanges()) == 0 }

// nearEntries is how far behind a newcomer may be when it gets its vote.
const nearEntries = messagesInFlight

// Members are those that a group is to have.
type Members struct {
	Voters   []codec.ReplicaID
	Learners []codec.ReplicaID // that stay so
	// Ready says whether a replica may be added: it has a directory.
	Ready func(codec.ReplicaID) bool
}

// Toward is this leader's next step towards a group of which want are the members,
// and nobody else. Each step is safe by itself, and the
// next leader finds the way from wherever this one ended:
//
//   - newcomers become learners, one at a time, and get all that there is;
//   - a joint configuration gives them their votes, and makes learners of those
//     that leave, so that they hear of their end;
//   - a leader that stays leaves it;
//   - the learners that are left over are removed.
//
// No step leads to voters of whom a majority does not answer now: they could decide
// nothing, not even their end.
func (m *Mind) Toward(want Members) Step {
	if !m.role.Leader || !m.open {
		return Step{}
	}
	w := way{self: uint64(m.cfg.ID), commit: uint64(m.commit), confAsOf: uint64(m.confAsOf), staying: want.Voters, learning: want.Learners, ready: want.Ready}
	s := m.node.Status()
	w.conf, w.progress = s.Config, s.Progress
	return w.next()
}

// way is what the next step depends on.
type way struct {
	self             uint64
	commit, confAsOf uint64
	staying          []codec.ReplicaID // voters
	learning         []codec.ReplicaID
	ready            func(codec.ReplicaID) bool
	conf             tracker.Config
	progress         map[uint64]tracker.Progress
}

func (w *way) next() Step {
	if len(w.conf.Voters[1]) > 0 {
		return w.leaveJoint()
	}
	promoted, wait := w.newcomers()
	if wait != nil {
		return *wait
	}
	var changes []*raftpb.ConfChangeSingle
	for _, id := range promoted {
		changes = append(changes, change(raftpb.ConfChangeAddNode, id))
	}
	for _, id := range slices.Sorted(maps.Keys(w.conf.Voters[0])) {
		if !w.stays(id) {
			changes = append(changes, change(raftpb.ConfChangeAddLearnerNode, id))
		}
	}
	if len(changes) == 0 {
		return w.remove()
	}
	if !w.decides() {
		return Step{}
	}
	if !w.stays(w.self) {
		if to := w.successor(w.stays); to != 0 {
			return Step{Transfer: to}
		} // else a newcomer leads, from within the joint configuration
	}
	return Step{Conf: &raftpb.ConfChangeV2{Changes: changes, Transition: raftpb.ConfChangeTransitionJointExplicit.Enum()}}
}

// leaveJoint ends a joint configuration, when this leader is a voter of what
// follows it; otherwise one that is has to lead.
func (w *way) leaveJoint() Step {
	if _, voter := w.conf.Voters[0][w.self]; !voter {
		// Where nobody stays of those that are to follow, because something else is
		// wanted by now, any of them leads on to that.
		if to := w.successor(w.stays); to != 0 {
			return Step{Transfer: to}
		}
		return Step{Transfer: w.successor(func(uint64) bool { return true })}
	}
	return Step{Conf: &raftpb.ConfChangeV2{}}
}

// newcomers are the learners that are to get a vote; or the step that comes
// before that.
func (w *way) newcomers() (list []uint64, before *Step) {
	for _, r := range w.learning {
		if id := uint64(r); w.ready(r) && !w.member(id) {
			return nil, addLearner(id)
		}
	}
	for _, r := range w.staying {
		id := uint64(r)
		_, voter := w.conf.Voters[0][id]
		_, learner := w.conf.Learners[id]
		switch {
		case voter:
		case learner && w.follows(id) && w.progress[id].Match+nearEntries >= w.commit:
			list = append(list, id)
		case learner || !w.ready(r):
			before = &Step{} // it is not there yet; another may be added meanwhile
		default:
			return nil, addLearner(id)
		}
	}
	return list, before
}

// remove ends the membership of learners that do not stay, once they have heard
// that they are no voters any more, or cannot be reached.
func (w *way) remove() Step {
	for _, id := range slices.Sorted(maps.Keys(w.conf.Learners)) {
		switch {
		case w.stays(id) || slices.Contains(w.learning, codec.ReplicaID(id)):
		case w.follows(id) && w.progress[id].Match < w.confAsOf:
			return Step{}
		default:
			return Step{Conf: &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{change(raftpb.ConfChangeRemoveNode, id)}}}
		}
	}
	return Step{Done: true}
}

// successor is the voter that may lead next and has most of the log; 0 without
// any.
func (w *way) successor(may func(uint64) bool) (to codec.ReplicaID) {
	for _, id := range slices.Sorted(maps.Keys(w.conf.Voters[0])) {
		if id == w.self || !may(id) || !w.follows(id) {
			continue
		}
		if to == 0 || w.progress[id].Match > w.progress[uint64(to)].Match {
			to = codec.ReplicaID(id)
		}
	}
	return to
}

// decides says that a majority of those that are to vote answers now.
func (w *way) decides() bool {
	answering := 0
	for _, r := range w.staying {
		if id := uint64(r); id == w.self || w.progress[id].RecentActive {
			answering++
		}
	}
	return 2*answering > len(w.staying)
}

// member says whether id is in the configuration.
func (w *way) member(id uint64) bool {
	_, is := w.progress[id]
	return is
}

func addLearner(id uint64) *Step {
	return &Step{Conf: &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{change(raftpb.ConfChangeAddLearnerNode, id)}}}
}

func (w *way) stays(id uint64) bool { return slices.Contains(w.staying, codec.ReplicaID(id)) }

// follows says that a member takes entries as they come, and has answered lately:
// one that fell silent while there was nothing to send still looks as if it did.
func (w *way) follows(id uint64) bool {
	return w.progress[id].State == tracker.StateReplicate && w.progress[id].RecentActive
}

func change(t raftpb.ConfChangeType, id uint64) *raftpb.ConfChangeSingle {
	return &raftpb.ConfChangeSingle{Type: t.Enum(), NodeId: &id}
}
