package replica

import (
	"cmp"
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Transfer hands leadership over to another member, once it has the whole log.
// Until it has, or an election timeout is over, proposals are refused. It is
// nothing when this replica does not lead, or to is no voter.
func (m *Mind) Transfer(to codec.ReplicaID) {
	if m.role.Leader {
		m.node.TransferLeader(uint64(to))
		m.observe()
	}
}

// HandsTo is the member that leadership is being handed to; 0 when it is not.
func (m *Mind) HandsTo() codec.ReplicaID { return codec.ReplicaID(m.node.BasicStatus().LeadTransferee) }

// ForgetLeader makes a follower give the leader up without waiting for an
// election timeout, so that it may vote for another or Campaign: for when it
// is known by other means that the leader's process has ended.
func (m *Mind) ForgetLeader() {
	m.ignore(m.node.ForgetLeader())
	m.observe()
}

// Unreachable says that the last messages to a member were lost.
func (m *Mind) Unreachable(id codec.ReplicaID) { m.node.ReportUnreachable(uint64(id)) }

// Peer is another member as a leader sees it.
type Peer struct {
	ID      codec.ReplicaID
	Match   codec.Index // what it is known to have
	Learner bool
	// Following says that it takes entries as they come; otherwise it is being
	// asked where its log ends, or a snapshot is on its way.
	Following bool
	// Heard says that it has answered lately: within one or two election timeouts.
	Heard bool
}

// Configuration is who the members of a group are by consensus.
type Configuration struct {
	Voters []codec.ReplicaID // of what follows, when it is joint
	Joint  bool              // it is between two
}

// Members is the configuration that applies here.
func (m *Mind) Members() Configuration {
	conf := m.node.Status().Config
	c := Configuration{Joint: len(conf.Voters[1]) > 0}
	for id := range conf.Voters[0] {
		c.Voters = append(c.Voters, codec.ReplicaID(id))
	}
	slices.Sort(c.Voters)
	return c
}

// Peers are the other members, in order of their ids; nil when this replica
// does not lead.
func (m *Mind) Peers() []Peer {
	if !m.role.Leader {
		return nil
	}
	var all []Peer
	m.node.WithProgress(func(id uint64, typ raft.ProgressType, p tracker.Progress) {
		if id != uint64(m.cfg.ID) {
			all = append(all, Peer{ID: codec.ReplicaID(id), Match: codec.Index(p.Match), Learner: p.IsLearner, Following: p.State == tracker.StateReplicate, Heard: p.RecentActive})
		}
	})
	slices.SortFunc(all, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
