package replica

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// Who is asked for a vote may know of a configuration that was decided, and be no
// voter in it, while whoever asks has it in the log and does not know that it was
// decided: then the one may not lead, and refuses its vote to the other for as long
// as its log is longer. So a letter about votes says how far its sender knows the
// log to be committed, in two fields that raft leaves empty there: the entry's index
// in Commit, its term in RejectHint. TiKV's raft-rs does the same.

// aboutVotes are the messages of an election.
func aboutVotes(t raftpb.MessageType) bool {
	return t == raftpb.MsgVote || t == raftpb.MsgVoteResp || t == raftpb.MsgPreVote || t == raftpb.MsgPreVoteResp
}

// sign writes on a letter about votes what is known to be committed here. A
// configuration that came with a snapshot may lie above the commit index: it is
// committed as well, and who sent it had its entry, as all have who led since.
func (m *Mind) sign(msg *raftpb.Message) {
	if !aboutVotes(msg.GetType()) || m.installing() {
		return
	}
	index := uint64(m.commit)
	if _, err := m.cfg.Storage.Term(uint64(m.confAsOf)); err == nil {
		index = max(index, uint64(m.confAsOf))
	}
	term, err := m.cfg.Storage.Term(index)
	if err != nil {
		return // an entry that is gone is in nobody's way
	}
	msg.Commit, msg.RejectHint = &index, &term
}

// learn takes from a letter about votes that a configuration in the log was decided.
// An entry of the same index and term is the same entry, and so are all before it;
// that is all it rests on, whatever has become of the sender since. It ends this
// replica's own candidacy, so a vote that is given says nothing: the more of them,
// the less there is to learn.
func (m *Mind) learn(msg *raftpb.Message) {
	if !aboutVotes(msg.GetType()) || granted(msg) || m.installing() || !m.undecided(codec.Index(msg.GetCommit())) {
		return
	}
	if term, err := m.cfg.Storage.Term(msg.GetCommit()); err != nil || term != msg.GetRejectHint() {
		return
	}
	m.decided(codec.Index(msg.GetCommit()))
}

func granted(msg *raftpb.Message) bool {
	return (msg.GetType() == raftpb.MsgVoteResp || msg.GetType() == raftpb.MsgPreVoteResp) && !msg.GetReject()
}

// infer decides at the beginning of a life what the log itself proves: a leader
// proposes no configuration before it has applied those before it, so all but the
// last one in the log were decided.
func (m *Mind) infer() {
	if n := len(m.tail.confs); n > 1 {
		m.decided(m.tail.confs[n-2])
	}
}

// undecided says that a configuration at or below index waits here to be decided,
// and nobody leads. A learner believes in a leader for ever, since it does not stand
// itself; so one that has said nothing for an election timeout is none.
func (m *Mind) undecided(index codec.Index) bool {
	return !m.role.Leader && (m.role.Lead == 0 || m.silence >= ElectionTicks) && len(m.tail.confs) > 0 && m.tail.confs[0] <= index
}

// heed notes that the leader has been heard, as a leader.
func (m *Mind) heed(msg *raftpb.Message) {
	switch msg.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if codec.Term(msg.GetTerm()) == m.role.Term {
			m.silence = 0
		}
	}
}

// installing says that a snapshot is on its way to the disk: what is known to be
// committed is not in the log that the disk shows.
func (m *Mind) installing() bool {
	return slices.ContainsFunc(m.outstanding, func(a *Append) bool { return a.Snapshot != nil })
}

// decided gives raft a commit index: as a heartbeat of nobody, in this replica's own
// term, which is all that raft has for it. The answer to nobody is dropped.
func (m *Mind) decided(index codec.Index) {
	term, commit := uint64(m.role.Term), uint64(index)
	m.ignore(m.node.Step(&raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), Term: &term, Commit: &commit}))
	m.observe()
}

// forNobody takes the answers to decided out.
func forNobody(list []*raftpb.Message) []*raftpb.Message {
	return slices.DeleteFunc(list, func(m *raftpb.Message) bool { return m.GetTo() == 0 })
}
