package replica

import (
	"testing"
	"testing/cryptotest"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// logged is an entry on a disk: what it says, or nothing.
func logged(index codec.Index, term codec.Term, says *raftpb.ConfChangeV2) Entry {
	e := Entry{Index: index, Term: term, Type: raftpb.EntryNormal}
	if says != nil {
		raw, err := proto.Marshal(says)
		must(err)
		e.Type, e.Data = raftpb.EntryConfChangeV2, raw
	}
	return e
}

func learner(id uint64) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{change(raftpb.ConfChangeAddLearnerNode, id)}}
}

// letterOf is a message of 2 to 1.
func letterOf(t raftpb.MessageType, term, index, indexTerm uint64) *raftpb.Message {
	from, to := uint64(2), uint64(1)
	return &raftpb.Message{Type: &t, From: &from, To: &to, Term: &term, Index: &index, LogTerm: &indexTerm}
}

// awake is a mind of three, whose log has a configuration that it does not know to be
// decided: entry 3 of term 2.
func awake(t *testing.T) (*Mind, *disk) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDisk([]codec.ReplicaID{1, 2, 3})
	d.entries = []Entry{logged(2, 2, nil), logged(3, 2, learner(4)), logged(4, 2, nil)}
	d.term, d.commit = 2, 2
	m, err := d.open(1)
	require.NoError(t, err)
	m.Take()
	return m, d
}

// A refusal says what is committed, of which entry: that of another term at the same
// place is another. A vote says nothing, and a leader that is heard knows better.
func TestWhatIsLearnedFromVotes(t *testing.T) {
	refusal := func(typ raftpb.MessageType, commit, term uint64) *raftpb.Message {
		l := letterOf(typ, 2, 0, 0)
		l.Reject, l.Commit, l.RejectHint = proto.Bool(true), &commit, &term
		return l
	}
	granted := refusal(raftpb.MsgPreVoteResp, 4, 2)
	granted.Reject = nil
	request := letterOf(raftpb.MsgPreVote, 3, 2, 2)
	request.Commit, request.RejectHint = proto.Uint64(3), proto.Uint64(2)
	for _, c := range []struct {
		what    string
		letter  *raftpb.Message
		learned codec.Index
	}{
		{"the configuration", refusal(raftpb.MsgPreVoteResp, 3, 2), 3},
		{"an entry behind it", refusal(raftpb.MsgVoteResp, 4, 2), 4},
		{"a request", request, 3},
		{"an entry of another term", refusal(raftpb.MsgPreVoteResp, 3, 1), 2},
		{"an entry that is not here", refusal(raftpb.MsgPreVoteResp, 5, 2), 2},
		{"before the configuration", refusal(raftpb.MsgPreVoteResp, 2, 2), 2},
		{"a vote", granted, 2},
		{"nothing is said", letterOf(raftpb.MsgPreVote, 3, 2, 2), 2},
	} {
		m, _ := awake(t)
		require.NoError(t, m.Step(c.letter))
		m.Take()
		require.Equal(t, c.learned, m.Commit(), c.what)
	}
	m, _ := awake(t)
	require.NoError(t, m.Step(letterOf(raftpb.MsgHeartbeat, 2, 0, 0)))
	for i := range ElectionTicks {
		require.NoError(t, m.Step(refusal(raftpb.MsgPreVoteResp, 3, 2)))
		m.Take()
		require.Equal(t, codec.Index(2), m.Commit(), "after %d ticks: its leader was just heard", i)
		m.Tick()
	}
	require.NoError(t, m.Step(refusal(raftpb.MsgPreVoteResp, 3, 2)))
	m.Take()
	require.Equal(t, codec.Index(3), m.Commit(), "its leader has been silent for an election timeout")
}

// While a snapshot is on its way to the disk, the log there is the one before: its
// entry at the snapshot's index is not what is committed.
func TestASnapshotOnItsWayClaimsNothing(t *testing.T) {
	m, d := awake(t)
	require.NoError(t, m.Step(letterOf(raftpb.MsgApp, 3, 9, 3))) // from who leads in term 3, of what is not here
	fx := m.Take()
	d.write(fx.Appends[0])
	m.Persisted(fx.Appends[0])
	m.ForgetLeader()
	require.NoError(t, m.Step(letterOf(raftpb.MsgVote, 3, 7, 2))) // a vote for it goes to the disk
	vote := m.Take().Appends[0]
	ask := letterOf(raftpb.MsgPreVote, 4, 1, 1)
	require.NoError(t, m.Step(ask)) // the refusal waits behind the vote
	require.Empty(t, m.Take().Messages)
	snap := letterOf(raftpb.MsgSnap, 3, 0, 0)
	snap.Snapshot = &raftpb.Snapshot{Data: Snapshot{ConfAsOf: 1, Producers: NewProducers()}.Encode(nil),
		Metadata: &raftpb.SnapshotMetadata{ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}}, Index: proto.Uint64(4), Term: proto.Uint64(3)}}
	require.NoError(t, m.Step(snap))
	require.NotNil(t, m.Take().Appends[0].Snapshot)
	d.write(vote)
	m.Persisted(vote)
	refused := 0
	for _, l := range m.Take().Messages {
		if aboutVotes(l.GetType()) {
			refused++
			require.Zero(t, l.GetCommit(), "%v", l)
		}
	}
	require.NotZero(t, refused)
}

// All configurations in a log but the last were decided. They are applied by the first
// Take, and only then does a candidacy count.
func TestWhatALogProvesIsAppliedFirst(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDisk([]codec.ReplicaID{1, 2, 3})
	d.entries = []Entry{logged(2, 2, nil), logged(3, 2, learner(4)), logged(4, 2, learner(5))}
	d.term, d.commit = 2, 2
	m, err := d.open(1)
	require.NoError(t, err)
	fx := m.Take()
	require.Equal(t, codec.Index(3), fx.Conf.Index)
	m.Campaign()
	require.Len(t, m.Take().Messages, 2, "it asks two for their votes")
}

// A configuration that is cut is not waited for.
func TestConfigurationsAreCutWithTheLog(t *testing.T) {
	var l tail
	for i, e := range []Entry{logged(2, 2, learner(4)), logged(3, 2, nil), logged(4, 2, learner(5)), logged(5, 2, learner(6)), logged(4, 3, nil)} {
		require.NoError(t, l.append(e.Index, e.Type, e.Data), "%d", i)
	}
	require.Equal(t, []codec.Index{2}, l.confs)
	l.commit(3)
	require.Empty(t, l.confs)
}
