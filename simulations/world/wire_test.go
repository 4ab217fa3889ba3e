package world

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/codec"
)

// A law of the wire: what it takes, and the letter that breaks it.
func TestTheWireFinds(t *testing.T) {
	app := func(from codec.ReplicaID, term, index, of uint64, data string, commit uint64) []byte {
		before := index - 1
		return raftLetter(t, from, 9, &raftpb.Message{Type: raftpb.MsgApp.Enum(), Term: &term, Index: &before, LogTerm: new(uint64), Commit: &commit,
			Entries: []*raftpb.Entry{{Index: &index, Term: &of, Data: []byte(data)}}})
	}
	vote := func(from, to codec.ReplicaID, typ raftpb.MessageType, term uint64) []byte {
		return raftLetter(t, from, to, &raftpb.Message{Type: typ.Enum(), Term: &term})
	}
	beats := func(list ...codec.Beat) []byte { return (&codec.Beats{List: list}).Encode() }
	acked, refused := uint64(5), uint64(6)
	ack := raftLetter(t, 2, 1, &raftpb.Message{Type: raftpb.MsgAppResp.Enum(), Term: &[]uint64{3}[0], Index: &acked})
	refusal := raftLetter(t, 2, 1, &raftpb.Message{Type: raftpb.MsgAppResp.Enum(), Term: &[]uint64{3}[0], Index: &refused, Reject: &[]bool{true}[0]})
	for name, c := range map[string]struct {
		fine  [][]byte
		wrong []byte
		says  string
	}{
		"two leaders": {[][]byte{app(1, 2, 5, 2, "a", 0), app(2, 3, 5, 3, "b", 0)}, vote(3, 1, raftpb.MsgHeartbeat, 3), "replicas 2 and 3 both lead group 7 in term 3"},
		"two votes": {[][]byte{vote(1, 2, raftpb.MsgVoteResp, 4), vote(1, 2, raftpb.MsgVoteResp, 4), vote(1, 3, raftpb.MsgVoteResp, 5)},
			vote(1, 3, raftpb.MsgVoteResp, 4), "replica 1 of group 7 voted for 2 and for 3 in term 4"},
		"a vote beside its own": {[][]byte{vote(1, 2, raftpb.MsgVote, 4)}, vote(1, 3, raftpb.MsgVoteResp, 4), "voted for 1 and for 3"},
		"two entries in one":    {[][]byte{app(1, 2, 5, 2, "a", 0), app(2, 3, 5, 2, "a", 0)}, app(2, 3, 5, 2, "b", 0), "entry 5 of term 2 in group 7 was one thing and is another"},
		"committed and replaced": {[][]byte{app(2, 3, 5, 1, "a", 5), app(1, 2, 5, 2, "b", 0)}, app(1, 4, 5, 4, "c", 0),
			"entry 5 of group 7 is of term 1, said the leader of term 3 when it was committed; the leader of term 4 has one of term 4 there"},
		"two leaders, one in a letter of beats": {[][]byte{app(1, 3, 5, 3, "a", 0)},
			beats(codec.Beat{Group: 8, From: 4, To: 1, Term: 9}, codec.Beat{Group: 7, From: 3, To: 1, Term: 3}), "replicas 1 and 3 both lead group 7 in term 3"},
		"an answer is no leader's": {[][]byte{app(1, 3, 5, 3, "a", 0), beats(codec.Beat{Answer: true, Group: 7, From: 3, To: 1, Term: 3})},
			vote(3, 1, raftpb.MsgHeartbeat, 3), "both lead"},
		"a heartbeat ahead of its replica": {[][]byte{ack, refusal, beats(codec.Beat{Group: 7, From: 1, To: 2, Term: 3, Commit: 5})},
			beats(codec.Beat{Group: 7, From: 1, To: 2, Term: 3, Commit: 6}), "entry 6 is committed, and it has acknowledged 5"},
		"a heartbeat for another replica": {[][]byte{ack}, beats(codec.Beat{Group: 7, From: 1, To: 4, Term: 3, Commit: 5}), "tells replica 4 in term 3"},
		"a heartbeat of another term":     {[][]byte{ack}, beats(codec.Beat{Group: 7, From: 1, To: 2, Term: 4, Commit: 1}), "in term 4"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			for _, l := range c.fine {
				require.NoError(t, w.said(l))
			}
			require.ErrorContains(t, w.said(c.wrong), c.says)
		})
	}
}

func raftLetter(t *testing.T, from, to codec.ReplicaID, m *raftpb.Message) (p []byte) {
	raw, err := proto.Marshal(m)
	require.NoError(t, err)
	l := codec.RaftLetter{Group: 7, From: from, To: to, Raft: raw}
	for _, part := range l.Encode() {
		p = append(p, part...)
	}
	return p
}
