package replica

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// fromPeers are the messages that replicas send each other. All others are a
// replica's own affair; above all MsgProp, which a leader would append
// without an offset.
var fromPeers = map[raftpb.MessageType]bool{
	raftpb.MsgApp: true, raftpb.MsgAppResp: true, raftpb.MsgSnap: true,
	raftpb.MsgVote: true, raftpb.MsgVoteResp: true, raftpb.MsgPreVote: true, raftpb.MsgPreVoteResp: true,
	raftpb.MsgHeartbeat: true, raftpb.MsgHeartbeatResp: true, raftpb.MsgTimeoutNow: true,
}

// check says what is wrong with a message from outside, before raft sees it.
func (m *Mind) check(msg *raftpb.Message) error {
	switch {
	case !fromPeers[msg.GetType()]:
		return errors.New("no replica sends this")
	case msg.GetTo() != uint64(m.cfg.ID):
		return fmt.Errorf("it is for replica %d, this is %d", msg.GetTo(), m.cfg.ID)
	case msg.GetFrom() == 0 || msg.GetFrom() == msg.GetTo():
		return errors.New("it names no other replica as its sender")
	case msg.GetTerm() == 0:
		return errors.New("it has no term")
	case msg.GetType() == raftpb.MsgApp:
		return checkEntries(msg)
	case msg.GetType() == raftpb.MsgSnap:
		return checkSnapshot(msg.GetSnapshot())
	}
	return nil
}

// checkEntries says what is wrong with the entries of a MsgApp: they are one
// run, of terms that never go back, and what they carry can be read.
func checkEntries(msg *raftpb.Message) error {
	index, term := msg.GetIndex(), msg.GetLogTerm()
	for _, e := range msg.GetEntries() {
		if e.GetIndex() != index+1 || e.GetTerm() < term || e.GetTerm() > msg.GetTerm() {
			return fmt.Errorf("entry %d of term %d cannot follow entry %d of term %d", e.GetIndex(), e.GetTerm(), index, term)
		}
		index, term = e.GetIndex(), e.GetTerm()
		if err := checkEntry(e); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return nil
}

func checkEntry(e *raftpb.Entry) error {
	if e.GetType() != raftpb.EntryNormal {
		_, err := confChange(e.GetType(), e.GetData())
		return err
	}
	_, _, err := codec.ParseBatchEntry(e.GetData())
	return err
}

func checkSnapshot(s *raftpb.Snapshot) error {
	if s.GetMetadata().GetIndex() == 0 {
		return errors.New("the snapshot is empty")
	}
	_, err := ParseSnapshot(s.GetData())
	return err
}

// confChange reads the data of a configuration entry.
func confChange(t raftpb.EntryType, data []byte) (raftpb.ConfChangeI, error) {
	if t == raftpb.EntryConfChange {
		cc := &raftpb.ConfChange{}
		if err := proto.Unmarshal(data, cc); err != nil {
			return nil, fmt.Errorf("read configuration change: %w", err)
		}
		return cc, nil
	}
	cc := &raftpb.ConfChangeV2{}
	if err := proto.Unmarshal(data, cc); err != nil {
		return nil, fmt.Errorf("read configuration change: %w", err)
	}
	return cc, nil
}
