package replica

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// proposal is one entry that this mind proposed and has not answered.
type proposal struct {
	items    []item
	term     codec.Term
	index    codec.Index // 0 until it is in an Append
	typ      raftpb.EntryType
	data     []byte
	payloads []codec.Batch // until it is in an Append
	size     int64
	time     codec.Millis // of the batch before its first
}

// item is what one request put into an entry.
type item struct {
	token any
	again []any            // tokens of the request's duplicates
	desc  codec.Descriptor // of a batch, else zero
}

// Produce proposes a batch that its caller verified, together with those that
// come before the next Take. On nil the token is answered exactly once, the
// batch belongs to the mind, and its base offset and epoch have been stamped;
// otherwise the *codec.Error says why nothing was written. That a sequence is
// missing is an answer too, for it has to be confirmed. now is the leader's
// clock.
func (m *Mind) Produce(now codec.Millis, b codec.Batch, token any) error {
	m.sealBefore(len(b)) // raft may refuse the bundle, and what is in it comes before b
	if err := m.admit(int64(len(b))); err != nil && codec.CodeOf(err) != codec.Overloaded {
		return err
	} else if done, dup := m.repeated(b, token); done && codec.CodeOf(dup) == codec.SequenceGap {
		m.confirm(token, dup)
		return nil
	} else if done {
		return dup
	} else if err != nil {
		return err
	}
	epoch, ok := codec.EpochOf(m.role.Term)
	if !ok {
		return codec.Errorf(codec.Internal, "group %d is in term %d, a batch's epoch ends at %d", m.cfg.Group, m.role.Term, epochMax)
	}
	if m.bundle == nil {
		m.bundle = m.newBundle()
	}
	p := m.bundle
	b.Stamp(m.next, epoch)
	d := codec.Describe(b, max(now, m.time))
	p.data = d.Append(p.data)
	p.payloads = append(p.payloads, b)
	p.items = append(p.items, item{token: token, desc: d})
	p.size += int64(len(b))
	m.inFlight += int64(len(b))
	m.next, m.time = d.Limit(), d.AppendTime
	m.flights.add(p, len(p.items)-1)
	return nil
}

// Propose proposes any other entry, its data made by codec. The token is
// answered exactly once when the error is nil.
func (m *Mind) Propose(data []byte, token any) error {
	if _, batch, _ := codec.ParseBatchEntry(data); batch || len(data) == 0 {
		return codec.Errorf(codec.InvalidArgument, "an entry of %d bytes is no command", len(data))
	}
	return m.proposeOne(raftpb.EntryNormal, data, token)
}

// ProposeConf proposes a change of the group's members, one at a time.
func (m *Mind) ProposeConf(cc raftpb.ConfChangeI, token any) error {
	typ, data, err := raftpb.MarshalConfChange(cc)
	if err != nil {
		return codec.Errorf(codec.InvalidArgument, "configuration change: %v", err)
	}
	return m.proposeOne(typ, data, token)
}

// proposeOne proposes an entry of one request, behind the batches that wait.
func (m *Mind) proposeOne(typ raftpb.EntryType, data []byte, token any) error {
	if err := m.admit(int64(len(data))); err != nil {
		return err
	}
	m.seal()
	p := &proposal{items: []item{{token: token}}, typ: typ, data: data, size: int64(len(data))}
	if err := m.propose(p); err != nil {
		return err
	}
	m.inFlight += p.size
	return nil
}

// admit says whether this replica may append size bytes more.
func (m *Mind) admit(size int64) error {
	switch {
	case !m.role.Leader && m.role.Lead != 0:
		return codec.Errorf(codec.NotLeader, "replica %d leads group %d in term %d", m.role.Lead, m.cfg.Group, m.role.Term)
	case !m.role.Leader:
		return codec.Errorf(codec.Unavailable, "group %d has no leader in term %d", m.cfg.Group, m.role.Term)
	case !m.open:
		return codec.Errorf(codec.Unavailable, "the leader of group %d has not yet committed in its term %d", m.cfg.Group, m.role.Term)
	case m.inFlight > 0 && m.inFlight+size > m.cfg.InFlightBytesMax:
		return codec.Errorf(codec.Overloaded, "group %d has %d bytes in flight, %d more would exceed %d", m.cfg.Group, m.inFlight, size, m.cfg.InFlightBytesMax)
	}
	return nil
}

// propose gives p to raft, which appends it to its log now or refuses.
func (m *Mind) propose(p *proposal) error {
	p.term = m.role.Term
	id := uint64(m.cfg.ID)
	entry := &raftpb.Entry{Type: p.typ.Enum(), Data: p.data}
	msg := &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &id, Entries: []*raftpb.Entry{entry}}
	switch err := m.node.Step(msg); {
	case errors.Is(err, raft.ErrProposalDropped):
		return codec.Errorf(codec.Unavailable, "the leader of group %d takes nothing for now", m.cfg.Group)
	case err != nil:
		panic(fmt.Sprintf("replica: raft refused a proposal: %v", err))
	case msg.Entries[0] != entry: // raft put an empty entry in its place
		return codec.Errorf(codec.Unavailable, "another change of the members of group %d is not complete", m.cfg.Group)
	}
	m.pending = append(m.pending, p)
	m.unsent = append(m.unsent, p)
	return nil
}

// answer settles the proposal that e is, if it is one.
func (m *Mind) answer(e Entry) {
	if len(m.pending) == 0 || m.pending[0].index != e.Index {
		return
	}
	p := m.pending[0]
	if p.term != e.Term && !codec.Mutant("promise-by-index") {
		panic(fmt.Sprintf("replica: group %d: entry %d is of term %d, proposed in %d", m.cfg.Group, e.Index, e.Term, p.term))
	}
	m.pending[0] = nil
	m.pending = m.pending[1:]
	m.inFlight -= p.size
	m.flights.remove(p)
	for i := range p.items {
		it := &p.items[i]
		a := Answer{Token: it.token, Index: e.Index, Term: e.Term, Base: it.desc.BaseOffset, AppendTime: it.desc.AppendTime}
		m.tell(it, a)
	}
	m.settled(p)
}

// tell gives a to whoever asked for it.
func (m *Mind) tell(it *item, a Answer) {
	m.answers = append(m.answers, a)
	for _, t := range it.again {
		a.Token = t
		m.answers = append(m.answers, a)
	}
}

// refuse answers everyone in p with err.
func (m *Mind) refuse(p *proposal, err error) {
	for i := range p.items {
		m.tell(&p.items[i], Answer{Token: p.items[i].token, Err: err})
	}
}

// forget gives up what was proposed under a leadership that ended. Its entries
// may be committed by the next leader or be cut: nobody knows yet.
func (m *Mind) forget() {
	m.open = false
	m.doubtAll()
	if codec.Mutant("promise-by-index") {
		m.flights = nil
		return
	}
	code := codec.Unknown
	if codec.Mutant("unknown-is-no") {
		code = codec.Unavailable
	}
	for _, p := range m.pending {
		if codec.Mutant("never-answered") {
			break
		}
		if codec.Mutant("deposed-leader-says-yes") {
			for i := range p.items {
				it := &p.items[i]
				m.tell(it, Answer{Token: it.token, Index: 1, Base: it.desc.BaseOffset, AppendTime: it.desc.AppendTime})
			}
			continue
		}
		m.refuse(p, codec.Errorf(code, "leadership of group %d in term %d ended before the entry was committed: it may or may not be in the log", m.cfg.Group, p.term))
	}
	if p := m.bundle; p != nil {
		m.refuse(p, codec.Errorf(codec.Unavailable, "leadership of group %d ended before the batch was proposed", m.cfg.Group))
	}
	m.bundle, m.pending, m.inFlight = nil, nil, 0
	m.flights = nil
}
