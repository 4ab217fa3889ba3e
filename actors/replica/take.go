package replica

import (
	"bytes"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Take returns everything that the inputs since the last Take ask for. It
// runs raft until it has nothing more to say.
func (m *Mind) Take() Effects {
	var fx Effects
	m.seal()
	for m.node.HasReady() {
		m.ready(m.node.Ready(), &fx)
		m.observe()
	}
	// What was proposed and is in no Append by now was cut before it got there.
	m.unsent = nil
	fx.Messages, m.messages = forNobody(m.messages), nil
	for _, msg := range fx.Messages {
		m.sign(msg)
	}
	clear(m.given) // those of the last Take are over
	fx.Answers, m.answers, m.given = m.answers, m.given[:0], m.answers
	if m.role != m.told {
		m.told = m.role
		role := m.role
		fx.Role = &role
	}
	return fx
}

// ready sorts what raft asks for.
func (m *Mind) ready(rd raft.Ready, fx *Effects) {
	m.confirmed(rd.ReadStates)
	var requests []*raftpb.Message
	for _, msg := range rd.Messages {
		switch {
		case msg.GetTo() == raft.LocalAppendThread:
			m.storageAppend(msg, fx)
		case msg.GetTo() == raft.LocalApplyThread:
			m.storageApply(msg, fx)
		case msg.GetType() == raftpb.MsgVote || msg.GetType() == raftpb.MsgPreVote:
			requests = append(requests, msg)
		default:
			m.messages = append(m.messages, msg)
		}
	}
	// A request for a vote says how long the log is and, by its term, that
	// this replica voted for itself. Raft would let it leave at once; but if
	// the log's end is lost in a crash, a vote given for the longer log could
	// elect the shorter one in the same term. So it waits for the disk too.
	m.after(requests)
}

// after delivers responses when all that was given to the disk is durable.
func (m *Mind) after(responses []*raftpb.Message) {
	if len(responses) == 0 {
		return
	}
	if n := len(m.outstanding); n > 0 {
		last := m.outstanding[n-1]
		last.responses = append(last.responses, responses...)
		return
	}
	m.deliver(responses)
}

// storageAppend makes an Append of what must be durable. A new commit index
// alone need not be: it goes along with the next Append.
func (m *Mind) storageAppend(msg *raftpb.Message, fx *Effects) {
	hard := false
	if msg.Term != nil { // raft sets all three or none
		term, vote := codec.Term(msg.GetTerm()), codec.ReplicaID(msg.GetVote())
		hard = term != m.hard.Term || vote != m.hard.Vote
		m.hard.Term, m.hard.Vote = term, vote
		m.hard.Commit = codec.Index(msg.GetCommit())
	}
	if !hard && len(msg.GetEntries()) == 0 && msg.GetSnapshot() == nil {
		m.after(msg.GetResponses())
		return
	}
	if codec.Mutant("response-before-sync") {
		m.deliver(msg.GetResponses())
		msg.Responses = nil
	}
	a := &Append{Hard: hard, Term: m.hard.Term, Vote: m.hard.Vote, Commit: m.hard.Commit,
		Snapshot: msg.GetSnapshot(), responses: msg.GetResponses()}
	if a.Snapshot != nil {
		m.install(a.Snapshot)
	}
	a.Entries = make([]Entry, len(msg.GetEntries()))
	for i, e := range msg.GetEntries() {
		a.Entries[i] = m.appended(e)
	}
	m.outstanding = append(m.outstanding, a)
	fx.Appends = append(fx.Appends, a)
}

// appended moves the end of the log and finds the entry's payloads, if this
// mind proposed it.
func (m *Mind) appended(e *raftpb.Entry) Entry {
	entry := Entry{Index: codec.Index(e.GetIndex()), Term: codec.Term(e.GetTerm()), Type: e.GetType(), Data: e.GetData()}
	if err := m.tail.append(entry.Index, entry.Type, entry.Data); err != nil {
		panic(fmt.Sprintf("replica: group %d: %v", m.cfg.Group, err))
	}
	if len(m.unsent) == 0 {
		return entry
	}
	// All entries of a term are its leader's, so the first one not yet seen
	// is found by term and content even after this leader was deposed.
	if p := m.unsent[0]; p.term == entry.Term && p.typ == entry.Type && bytes.Equal(p.data, entry.Data) {
		m.unsent = m.unsent[1:]
		p.index = entry.Index
		entry.Payloads, p.payloads = p.payloads, nil
	}
	return entry
}

// install takes the place of a log that a snapshot replaces.
func (m *Mind) install(s *raftpb.Snapshot) {
	state, err := ParseSnapshot(s.GetData())
	if err != nil {
		panic(fmt.Sprintf("replica: group %d: snapshot passed the check: %v", m.cfg.Group, err))
	}
	index := codec.Index(s.GetMetadata().GetIndex())
	m.tail.restore(index, state)
	m.producers, m.known = state.Producers, max(state.ProducersAsOf, index)
	if codec.Mutant("snapshot-without-table") {
		m.producers = NewProducers()
	}
	m.confAsOf = state.ConfAsOf
	m.commit = index
}

// storageApply hands out committed entries. The body applies them in this
// same turn, so raft hears at once that they are applied.
func (m *Mind) storageApply(msg *raftpb.Message, fx *Effects) {
	for _, e := range msg.GetEntries() {
		entry := Entry{Index: codec.Index(e.GetIndex()), Term: codec.Term(e.GetTerm()), Type: e.GetType(), Data: e.GetData()}
		fx.Committed = append(fx.Committed, entry)
		m.committed(entry, fx)
	}
	m.deliver(msg.GetResponses())
}

// committed is what the mind itself does about a committed entry.
func (m *Mind) committed(e Entry, fx *Effects) {
	m.commit = max(m.commit, e.Index)
	m.tail.commit(e.Index)
	if e.Type != raftpb.EntryNormal {
		m.configure(e, fx)
	} else if run, ok, err := codec.ParseBatchEntry(e.Data); err != nil {
		panic(fmt.Sprintf("replica: group %d: entry %d: %v", m.cfg.Group, e.Index, err))
	} else if ok && e.Index > m.known {
		for i := range run.Len() {
			m.producers.Apply(run.At(i))
		}
	}
	if m.role.Leader && !m.open && (e.Term == m.role.Term || codec.Mutant("offsets-from-commit")) {
		m.open = true
		m.next, m.time = m.tail.end().next, m.tail.end().time
		if codec.Mutant("offsets-from-commit") {
			m.next, m.time = m.tail.base.next, m.tail.base.time
		}
	}
	m.answer(e)
}

// configure applies a configuration entry, unless the configuration that this
// mind began with already contains it.
func (m *Mind) configure(e Entry, fx *Effects) {
	if e.Index <= m.confAsOf && !codec.Mutant("conf-applied-again") {
		return
	}
	cc, err := confChange(e.Type, e.Data)
	if err != nil {
		panic(fmt.Sprintf("replica: group %d: entry %d: %v", m.cfg.Group, e.Index, err))
	}
	state, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.node.ApplyConfChange(cc))
	if err != nil {
		panic(fmt.Sprintf("replica: marshal a configuration: %v", err))
	}
	m.confAsOf = e.Index
	fx.Conf = &ConfChange{Index: e.Index, State: state}
	m.observe()
}
