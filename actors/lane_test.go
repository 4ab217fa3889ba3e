package actors

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/codec"
)

// The link puts letters on its lanes by the first bytes of raft's messages:
// appends and snapshots on one, so that they keep their order, and nothing
// else, so that heartbeats do not wait. This holds the library to that.
func TestAppendsKeepToOneLane(t *testing.T) {
	for n, name := range raftpb.MessageType_name {
		kind := raftpb.MessageType(n)
		raw, err := proto.Marshal(&raftpb.Message{Type: &kind, To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(3)), Index: new(uint64(9)), Commit: new(uint64(8))})
		require.NoError(t, err)
		want := codec.LaneControl
		if kind == raftpb.MsgApp || kind == raftpb.MsgSnap {
			want = codec.LaneBulk
		}
		require.Equal(t, want, codec.LaneOf((&codec.RaftLetter{Raft: raw}).Encode()), name)
	}
}
