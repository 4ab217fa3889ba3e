package world

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/codec"
)

// wire holds what replicas say to each other against what they have ever said:
// what Raft promises is seen from outside, whatever minds think of it.
//
//   - Election safety: in one term of one group one replica speaks as leader.
//   - A replica gives one vote in one term, for ever; on another disk than its own it
//     is none, and nobody listens to it.
//   - Log matching: one index and term is one entry, whoever sends it.
//   - What was said to be committed is not replaced.
//   - A heartbeat tells a replica of nothing as committed that it has not acknowledged
//     in that term.
type wire struct {
	leaders   map[inTerm]codec.ReplicaID
	votes     map[voteOf]codec.ReplicaID
	entries   map[entryAt]uint32
	committed map[codec.GroupID]map[uint64]settled
	acked     map[heldBy]codec.Index
}

// settled is a committed entry: its own term, and that of the first leader that
// said so. Leaders of earlier terms may not know.
type settled struct{ term, by uint64 }

type inTerm struct {
	group codec.GroupID
	term  uint64
}

type voteOf struct {
	inTerm
	replica codec.ReplicaID
	disk    codec.UUID
}

// heldBy is a replica that a leader of a term has heard of.
type heldBy struct {
	inTerm
	replica codec.ReplicaID
}

type entryAt struct {
	inTerm
	index uint64
}

func newWire() *wire {
	return &wire{leaders: map[inTerm]codec.ReplicaID{}, votes: map[voteOf]codec.ReplicaID{}, entries: map[entryAt]uint32{},
		committed: map[codec.GroupID]map[uint64]settled{}, acked: map[heldBy]codec.Index{}}
}

// said is told of every letter as it leaves.
func (w *wire) said(letter []byte) error {
	kind, _, err := codec.KindOfLetter(letter)
	if err == nil && kind == codec.LetterBeats {
		return w.beat(letter)
	}
	if err != nil || kind != codec.LetterRaft {
		return err
	}
	l, err := codec.ParseRaftLetter(letter)
	if err != nil {
		return err
	}
	var m raftpb.Message
	if err := proto.Unmarshal(l.Raft, &m); err != nil {
		return err
	}
	in := inTerm{l.Group, m.GetTerm()}
	switch m.GetType() {
	case raftpb.MsgVote:
		return w.voted(voteOf{in, l.From, l.Disk}, l.From)
	case raftpb.MsgVoteResp:
		if !m.GetReject() {
			return w.voted(voteOf{in, l.From, l.Disk}, l.To)
		}
	case raftpb.MsgHeartbeat:
		return w.beats(codec.Beat{Group: l.Group, From: l.From, To: l.To, Term: codec.Term(m.GetTerm()), Commit: codec.Index(m.GetCommit())})
	case raftpb.MsgAppResp:
		if of := (heldBy{in, l.From}); !m.GetReject() {
			w.acked[of] = max(w.acked[of], codec.Index(m.GetIndex()))
		}
	case raftpb.MsgSnap, raftpb.MsgTimeoutNow:
		return w.led(in, l.From)
	case raftpb.MsgApp:
		if err := w.led(in, l.From); err != nil {
			return err
		}
		return w.sent(l.Group, &m)
	}
	return nil
}

// beat holds a letter of beats, one by one.
func (w *wire) beat(letter []byte) error {
	l, err := codec.ParseBeats(letter)
	if err != nil {
		return err
	}
	for _, b := range l.List {
		if b.Answer {
			continue
		}
		if err := w.beats(b); err != nil {
			return err
		}
	}
	return nil
}

func (w *wire) beats(b codec.Beat) error {
	in := inTerm{b.Group, uint64(b.Term)}
	if has := w.acked[heldBy{in, b.To}]; b.Commit > has {
		return fmt.Errorf("a heartbeat of group %d tells replica %d in term %d that entry %d is committed, and it has acknowledged %d", b.Group, b.To, b.Term, b.Commit, has)
	}
	return w.led(in, b.From)
}

func (w *wire) led(in inTerm, by codec.ReplicaID) error {
	if was, known := w.leaders[in]; known && was != by {
		return fmt.Errorf("replicas %d and %d both lead group %d in term %d", was, by, in.group, in.term)
	}
	w.leaders[in] = by
	return nil
}

func (w *wire) voted(v voteOf, whom codec.ReplicaID) error {
	if was, known := w.votes[v]; known && was != whom {
		return fmt.Errorf("replica %d of group %d voted for %d and for %d in term %d", v.replica, v.group, was, whom, v.term)
	}
	w.votes[v] = whom
	return nil
}

// sent notes the entries of a MsgApp, and what its leader says is committed of
// them.
func (w *wire) sent(group codec.GroupID, m *raftpb.Message) error {
	terms := w.committed[group]
	if terms == nil {
		terms = map[uint64]settled{}
		w.committed[group] = terms
	}
	if err := w.stands(group, terms, m, m.GetIndex(), m.GetLogTerm()); err != nil {
		return err
	}
	for _, e := range m.GetEntries() {
		at, is := entryAt{inTerm{group, e.GetTerm()}, e.GetIndex()}, codec.CRC32C(e.GetData())^uint32(e.GetType())
		if was, known := w.entries[at]; known && was != is {
			return fmt.Errorf("entry %d of term %d in group %d was one thing and is another", at.index, at.term, group)
		}
		w.entries[at] = is
		if err := w.stands(group, terms, m, e.GetIndex(), e.GetTerm()); err != nil {
			return err
		}
	}
	return nil
}

// stands holds one entry against what is committed at its place.
func (w *wire) stands(group codec.GroupID, terms map[uint64]settled, m *raftpb.Message, index, term uint64) error {
	was, known := terms[index]
	if known && was.term != term && m.GetTerm() > was.by {
		return fmt.Errorf("entry %d of group %d is of term %d, said the leader of term %d when it was committed; the leader of term %d has one of term %d there",
			index, group, was.term, was.by, m.GetTerm(), term)
	}
	if index <= m.GetCommit() && !known {
		terms[index] = settled{term: term, by: m.GetTerm()}
	}
	return nil
}
