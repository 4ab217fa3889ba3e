package codec

// Lane is one of the two connections on which a broker sends another its
// letters.
type Lane byte

// The lanes.
const (
	LaneControl Lane = 0 // votes, heartbeats, answers: small, and never behind batches
	LaneBulk    Lane = 1 // appends of consensus, snapshots, and whatever else is large
)

// String is the name in greetings and in status.
func (l Lane) String() string {
	if l == LaneBulk {
		return "bulk"
	}
	return "control"
}

// ControlBytesMax is the largest letter on the control lane: at 1 Gbit/s what
// comes behind it waits for 65 microseconds.
const ControlBytesMax = 8 << 10

// A lane carries frames in the direction of who dialled: a length, u32 big
// endian, and so many bytes, which are a letter. Two lengths mean something
// else, and nothing follows them; against the direction only they are sent.
const (
	// LaneHere says no more than that its sender is there, and reads.
	LaneHere uint32 = 0
	// LaneGoodbye says that the sender's process ends, as planned.
	LaneGoodbye uint32 = 1<<32 - 1
)

// Fields of raftpb.Message as protobuf writes them: the type comes first.
// Source: https://github.com/etcd-io/raft/blob/main/raftpb/raft.proto
const (
	raftTypeField = 0x08 // field 1, a varint
	raftAppend    = 3    // MsgApp
	raftSnapshot  = 7    // MsgSnap
)

// LaneOf is the lane for a letter that is given in parts, as Encode made them.
// Appends go by bulk however small: an append that overtakes the one before it
// is refused by its follower, and the leader begins to probe.
func LaneOf(parts [][]byte) Lane {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > ControlBytesMax || len(parts) > 1 || len(parts) == 1 && ordered(parts[0]) {
		return LaneBulk
	}
	return LaneControl
}

// ordered says whether a letter's head says that it is an append or a snapshot.
func ordered(p []byte) bool {
	if len(p) < raftLetterHeadBytes+2 || LetterKind(p[0]) != LetterRaft {
		return false
	}
	m := p[raftLetterHeadBytes:]
	return m[0] == raftTypeField && (m[1] == raftAppend || m[1] == raftSnapshot)
}
