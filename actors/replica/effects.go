package replica

import (
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// Effects is what the inputs since the last Take ask the body to do. The body
// keeps the payloads of Appends before it sends Messages: a message names
// entries whose payloads it does not carry.
type Effects struct {
	// Appends are to be made durable in order, each handed back to Persisted
	// exactly once, in order. Several may be made durable by one fsync.
	Appends []*Append
	// Messages may leave at once, for other replicas. They share memory with
	// the mind: marshal them before its next input and never change them.
	Messages []*raftpb.Message
	// Committed entries are applied before the mind's next input, in order.
	// They are durable on this replica.
	Committed []Entry
	// Answers are due now; those about entries are about applied ones. They are
	// over with the next Take.
	Answers []Answer
	// Role is set when it changed.
	Role *Role
	// Conf is set when a configuration entry was applied.
	Conf *ConfChange
}

// Append is one step of the disk: first the hard state when Hard, then a
// snapshot or entries. Entries cut everything in the log from the index of
// the first of them on.
type Append struct {
	// Term and Vote are the hard state from this Append on. They must be
	// durable before the entries only when Hard is set; otherwise they are
	// what an earlier Append made durable.
	Hard bool
	Term codec.Term
	Vote codec.ReplicaID // 0 without
	// Commit is the newest known commit index. It need not be made durable
	// for this Append, and never exceeds the last index of the log after it.
	Commit  codec.Index
	Entries []Entry
	// Snapshot replaces the log: it restarts after the snapshot's index. Its
	// data is what Snapshot.Encode wrote.
	Snapshot *raftpb.Snapshot

	responses []*raftpb.Message // due when this is durable
}

// Entry is one raft entry. Data is shared with the mind and never changed.
type Entry struct {
	Index codec.Index
	Term  codec.Term
	Type  raftpb.EntryType
	Data  []byte
	// Payloads are set in an Append's entry that carries batches which this
	// mind stamped itself. The payloads of a follower's entries come with the
	// message, by way of the body.
	Payloads []codec.Batch
}

// Answer is the outcome of one Produce, Propose or ProposeConf, by its token.
type Answer struct {
	Token any
	// Err is nil, or a *codec.Error: SequenceGap, Unknown when leadership ended before
	// the entry was committed, of a retriable code when it was never proposed.
	Err error
	// Index and Term name the committed entry; both are 0 for a batch that an
	// idempotent producer sent again after it was applied.
	Index codec.Index
	Term  codec.Term
	// Base is the offset of the batch's first record, AppendTime the leader's
	// time of the append; both of the first sending of a batch sent twice.
	Base       codec.Offset
	AppendTime codec.Millis
}

// Role is who leads, as far as this replica knows.
type Role struct {
	Leader bool // this replica
	Term   codec.Term
	Lead   codec.ReplicaID // 0 when not known
}

// ConfChange is the configuration that applies from an index on. The body
// makes it durable together with the index and a commit index of at least
// that, before it reports the entry applied to anyone (raft.md 2.5).
type ConfChange struct {
	Index codec.Index
	State []byte // a marshalled raftpb.ConfState
}
