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

// sign writes on a letter about votes what is known to be committed here.
func (m *Mind) sign(msg *raftpb.Message) {
	if !aboutVotes(msg.GetType()) {
		return
	}
	index := uint64(m.commit)
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
	if !aboutVotes(msg.GetType()) || granted(msg) || !m.undecided(codec.Index(msg.GetCommit())) {
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
// and nobody leads.
func (m *Mind) undecided(index codec.Index) bool {
	return !m.role.Leader && m.role.Lead == 0 && len(m.tail.confs) > 0 && m.tail.confs[0] <= index
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
