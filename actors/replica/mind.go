package replica

import (
	"errors"
	"fmt"
	"math"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Ticks of an election and of a heartbeat. With a tick of 100 ms an election
// begins after 1.5 to 3 s of silence.
const (
	ElectionTicks  = 15
	HeartbeatTicks = 2
)

const (
	messageBytesMax   = 1 << 20 // of descriptors and commands in one MsgApp
	messagesInFlight  = 64      // MsgApps to one follower
	messageFlightMax  = 8 << 20 // bytes in those
	uncommittedMax    = 32 << 20
	committedBytesMax = 4 << 20
	inFlightBytesMax  = 64 << 20
)

// Config is what a mind begins with. All of it comes from the durable log.
type Config struct {
	Group codec.GroupID
	ID    codec.ReplicaID
	// Storage is the durable log. It changes only between calls, and shows an
	// Append's effect before that is handed to Persisted. Its Entries should
	// count payloads against the size that it is asked for, because raft sees
	// descriptors only. Its Snapshot carries data that Snapshot.Encode wrote.
	Storage raft.Storage
	Applied codec.Index
	// ConfAsOf is the index of the configuration that Storage returns. A
	// configuration entry at or below it is not applied again.
	ConfAsOf codec.Index
	// Next is the limit of the last batch in the log, uncommitted ones
	// included: the next offset.
	Next codec.Offset
	// AppendTime is that of the same batch.
	AppendTime codec.Millis
	// StartTime is the append time of the last batch before the log's first
	// index; 0 when there never was one.
	StartTime codec.Millis
	// Producers is the table; nil for an empty one. It holds what entries up to
	// ProducersAsOf say, or up to Applied when that is more.
	Producers     *Producers
	ProducersAsOf codec.Index
	// Log takes what raft has to say; nil for silence.
	Log Logger
	// InFlightBytesMax bounds the payload bytes proposed and not yet
	// committed. 0 means 64 MiB.
	InFlightBytesMax int64
}

// Mind is one replica. It is not safe for concurrent use.
type Mind struct {
	cfg  Config
	node *raft.RawNode

	tail      tail // where the log's end is
	producers *Producers
	known     codec.Index // entries up to it are in producers already
	flights   flights     // of idempotent producers, not yet committed

	role, told Role
	open       bool // leads and has applied an entry of its own term
	commit     codec.Index
	confAsOf   codec.Index
	hard       Append // term and vote of the last Append with Hard
	silence    int    // ticks since the leader was heard

	next     codec.Offset // while open: the next batch's offset
	time     codec.Millis // while open: no batch is older
	bundled  int          // batches in the last bundle
	spare    [][]item     // of answered proposals, to be used again
	bundle   *proposal    // batches that Take will propose as one entry; nil without any
	pending  []*proposal  // in order of the log, waiting for their commit
	unsent   []*proposal  // proposed and in no Append so far
	inFlight int64        // payload bytes of bundle and pending
	doubts   []doubt      // in the order of their numbers
	doubted  uint64

	outstanding []*Append // given to the disk, oldest first
	messages    []*raftpb.Message
	answers     []Answer
	given       []Answer // what the last Take returned
}

// New makes a mind from what the disk has. The error says what in it is
// impossible; such a replica must not start.
func New(cfg Config) (*Mind, error) {
	if cfg.InFlightBytesMax == 0 {
		cfg.InFlightBytesMax = inFlightBytesMax
	}
	if cfg.Producers == nil {
		cfg.Producers = NewProducers()
	}
	m := &Mind{cfg: cfg, producers: cfg.Producers, known: cfg.ProducersAsOf, confAsOf: cfg.ConfAsOf}
	if err := m.load(); err != nil {
		return nil, fmt.Errorf("start replica %d of group %d: %w", cfg.ID, cfg.Group, err)
	}
	node, err := raft.NewRawNode(m.raftConfig())
	if err != nil {
		return nil, fmt.Errorf("start replica %d of group %d: %w", cfg.ID, cfg.Group, err)
	}
	m.node = node
	m.observe()
	m.infer()
	return m, nil
}

func (m *Mind) raftConfig() *raft.Config {
	return &raft.Config{
		ID: uint64(m.cfg.ID), Storage: m.cfg.Storage, Applied: uint64(m.cfg.Applied),
		ElectionTick: ElectionTicks, HeartbeatTick: HeartbeatTicks,
		AsyncStorageWrites: true, PreVote: true, CheckQuorum: true,
		StepDownOnRemoval: true, DisableProposalForwarding: true,
		ReadOnlyOption: raft.ReadOnlySafe,
		MaxSizePerMsg:  messageBytesMax, MaxInflightMsgs: messagesInFlight, MaxInflightBytes: messageFlightMax,
		MaxUncommittedEntriesSize: uncommittedMax, MaxCommittedSizePerReady: committedBytesMax,
		Logger: raftLogger{m.cfg.Log},
	}
}

// load checks the durable state and finds the log's end. Each of these checks
// is a panic inside raft.
func (m *Mind) load() error {
	hard, _, err := m.cfg.Storage.InitialState()
	if err != nil {
		return fmt.Errorf("read the hard state: %w", err)
	}
	first, err := m.cfg.Storage.FirstIndex()
	if err != nil {
		return fmt.Errorf("read the first index: %w", err)
	}
	last, err := m.cfg.Storage.LastIndex()
	if err != nil {
		return fmt.Errorf("read the last index: %w", err)
	}
	commit := max(hard.GetCommit(), first-1)
	if !raft.IsEmptyHardState(hard) && (hard.GetCommit() < first-1 || hard.GetCommit() > last) {
		return fmt.Errorf("commit index %d is outside the log's [%d, %d]", hard.GetCommit(), first-1, last)
	}
	if a := uint64(m.cfg.Applied); a != 0 && (a < first-1 || a > commit) {
		return fmt.Errorf("applied index %d is outside [%d, %d]", a, first-1, commit)
	}
	term, err := m.cfg.Storage.Term(last)
	if err != nil {
		return fmt.Errorf("read the last term: %w", err)
	}
	if term > hard.GetTerm() {
		return fmt.Errorf("the log ends in term %d, the hard state is of term %d", term, hard.GetTerm())
	}
	m.commit = codec.Index(commit)
	m.hard.Term, m.hard.Vote = codec.Term(hard.GetTerm()), codec.ReplicaID(hard.GetVote())
	return m.tail.load(m.cfg, codec.Index(first), m.commit, codec.Index(last))
}

// Campaign asks for votes now. A replica that is alone leads as soon as the
// Appends that follow are durable.
func (m *Mind) Campaign() {
	m.ignore(m.node.Campaign())
	m.observe()
}

// Tick is one step of time, for elections and heartbeats.
func (m *Mind) Tick() {
	m.silence++
	m.node.Tick()
	if m.role.Lead != 0 && !m.role.Leader && m.silence >= 2*ElectionTicks {
		// A voter has given a leader up by then. A learner does not stand, and would
		// name one that is gone for ever.
		m.ignore(m.node.ForgetLeader())
	}
	m.observe()
}

// Step takes a message of another replica. The error says what is wrong with
// it; nothing has changed then.
func (m *Mind) Step(msg *raftpb.Message) error {
	if err := m.check(msg); err != nil {
		return fmt.Errorf("step %s from replica %d: %w", msg.GetType(), msg.GetFrom(), err)
	}
	if err := m.lost(msg); err != nil {
		return err
	}
	err := m.node.Step(msg)
	m.observe()
	m.heed(msg)
	m.learn(msg)
	if errors.Is(err, raft.ErrStepPeerNotFound) {
		return fmt.Errorf("step %s: replica %d is not in group %d", msg.GetType(), msg.GetFrom(), m.cfg.Group)
	}
	m.ignore(err)
	return nil
}

// Lost says that a leader knows this replica to have acknowledged an entry that
// its log does not have: it was damaged, and must promise nothing any more.
type Lost struct{ Acknowledged, Last codec.Index }

// Error names both ends.
func (l *Lost) Error() string {
	return fmt.Sprintf("this replica acknowledged entry %d, and its log ends at %d", l.Acknowledged, l.Last)
}

// lost holds a heartbeat against the log: its commit index is of what this
// replica acknowledged in the leader's term, and so cannot lie behind the end.
// raft panics at it.
func (m *Mind) lost(msg *raftpb.Message) error {
	if msg.GetType() != raftpb.MsgHeartbeat || codec.Term(msg.GetTerm()) < m.role.Term {
		return nil
	}
	last, err := m.cfg.Storage.LastIndex()
	if err != nil {
		return fmt.Errorf("read the last index: %w", err)
	}
	if msg.GetCommit() > last {
		return &Lost{codec.Index(msg.GetCommit()), codec.Index(last)}
	}
	return nil
}

// Persisted says that a and all before it are durable, and that Storage shows
// them.
func (m *Mind) Persisted(a *Append) {
	if len(m.outstanding) == 0 || m.outstanding[0] != a {
		panic("replica: an append came back out of order")
	}
	m.outstanding = m.outstanding[1:]
	if codec.Mutant("acknowledged-by-one") && m.role.Leader {
		for _, e := range a.Entries {
			m.answer(e)
		}
	}
	m.deliver(a.responses)
	m.observe()
}

// deliver gives responses whose ground is durable to whom they are for.
func (m *Mind) deliver(responses []*raftpb.Message) {
	for _, r := range responses {
		if r.GetTo() != uint64(m.cfg.ID) {
			m.messages = append(m.messages, r)
			continue
		}
		m.ignore(m.node.Step(r))
	}
}

// ignore takes the two refusals of raft that say nothing new: a proposal that
// raft made to itself was dropped, a response of this replica arrived after
// it was removed.
func (m *Mind) ignore(err error) {
	if err != nil && !errors.Is(err, raft.ErrProposalDropped) && !errors.Is(err, raft.ErrStepPeerNotFound) {
		panic(fmt.Sprintf("replica: raft refused its own message: %v", err))
	}
}

// observe follows raft's role. It runs after every input that can change it.
func (m *Mind) observe() {
	s := m.node.BasicStatus()
	now := Role{Leader: s.RaftState == raft.StateLeader, Term: codec.Term(s.GetTerm()), Lead: codec.ReplicaID(s.Lead)}
	if now.Term != m.role.Term || now.Leader != m.role.Leader {
		m.forget()
	}
	m.role = now
}

// Role is who leads now.
func (m *Mind) Role() Role { return m.role }

// Commit is the highest index known to be committed and durable here. The
// body stores it when it is idle and at close.
func (m *Mind) Commit() codec.Index { return m.commit }

// Next is the offset after the last batch in the log that Take returned.
func (m *Mind) Next() codec.Offset { return m.tail.end().next }

// InFlight is the number of payload bytes proposed and not yet committed.
func (m *Mind) InFlight() int64 { return m.inFlight }

// Producers is the table of idempotent producers as of the last committed
// entry that Take returned. Only the mind may change it.
func (m *Mind) Producers() *Producers { return m.producers }

// ProducersAhead says that Producers came with a snapshot and knows of entries
// that are not committed here yet.
func (m *Mind) ProducersAhead() bool { return m.known > m.commit }

// epochMax is the last term that a batch header can hold.
const epochMax = codec.Term(math.MaxInt32)

// SnapshotSent reports the end of sending a MsgSnap; without it raft may send
// nothing to that replica for ever. Success means that it was given to the
// replica, which may lose it yet; a link that was lost meanwhile is a failure.
func (m *Mind) SnapshotSent(to codec.ReplicaID, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	m.node.ReportSnapshot(uint64(to), status)
	m.observe()
}
