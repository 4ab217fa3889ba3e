package replica

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Bootstrap is what each of the first members of a group begins with: a
// snapshot of nothing at index 1 of term 1, whose configuration is conf (a
// marshalled raftpb.ConfState). Their log begins at index 2, so that a later
// member can only start from a snapshot that tells it the members. Their hard
// state is {term, vote 0, commit index}; ConfAsOf and Applied are index.
func Bootstrap(voters []codec.ReplicaID, learners ...codec.ReplicaID) (index codec.Index, term codec.Term, conf []byte) {
	cs := &raftpb.ConfState{}
	for _, v := range voters {
		cs.Voters = append(cs.Voters, uint64(v))
	}
	for _, l := range learners {
		cs.Learners = append(cs.Learners, uint64(l))
	}
	conf, err := proto.MarshalOptions{Deterministic: true}.Marshal(cs)
	if err != nil {
		panic(fmt.Sprintf("replica: marshal a configuration: %v", err))
	}
	return 1, 1, conf
}

// ParseConf reads a marshalled configuration, for Storage.InitialState.
func ParseConf(conf []byte) (*raftpb.ConfState, error) {
	cs := &raftpb.ConfState{}
	if err := proto.Unmarshal(conf, cs); err != nil {
		return nil, fmt.Errorf("parse configuration: %w", err)
	}
	return cs, nil
}

// Snapshot is the data of a raft snapshot: the derived state at the
// snapshot's index, from which a log that begins after it can be continued.
type Snapshot struct {
	// ConfAsOf is the index of the snapshot's configuration, which is the
	// newest applied one and so may lie above the snapshot's index.
	ConfAsOf   codec.Index
	Next       codec.Offset
	AppendTime codec.Millis
	// ProducersAsOf is the index up to which Producers knows the log. It may lie
	// above the snapshot's index, for what is known is committed.
	ProducersAsOf codec.Index
	Producers     *Producers
	State         []byte // of a key-value state machine
}

const (
	snapshotVersion   = 2
	snapshotHeadBytes = 1 + 8 + 8 + 8 + 8 + 4
)

// Encode writes s behind dst. The caller adds a checksum.
func (s Snapshot) Encode(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint64(append(dst, snapshotVersion), uint64(s.ConfAsOf))
	dst = be.AppendUint64(dst, uint64(s.Next))
	dst = be.AppendUint64(dst, uint64(s.AppendTime))
	dst = be.AppendUint64(dst, uint64(s.ProducersAsOf))
	at := len(dst)
	dst = be.AppendUint32(dst, 0)
	if s.Producers == nil {
		s.Producers = NewProducers()
	}
	dst = s.Producers.Export(dst)
	be.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return append(dst, s.State...)
}

// ParseSnapshot reads what Encode wrote, now or when a version 1 did not yet say
// how much Producers knows: as much as the snapshot. State shares p's memory.
func ParseSnapshot(p []byte) (Snapshot, error) {
	be := binary.BigEndian
	if len(p) > snapshotHeadBytes-8 && p[0] == 1 {
		p = slices.Concat([]byte{snapshotVersion}, p[1:25], make([]byte, 8), p[25:])
	}
	if len(p) < snapshotHeadBytes || p[0] != snapshotVersion {
		return Snapshot{}, fmt.Errorf("parse snapshot: %d bytes, not of version %d", len(p), snapshotVersion)
	}
	s := Snapshot{ConfAsOf: codec.Index(be.Uint64(p[1:])), Next: codec.Offset(be.Uint64(p[9:])), AppendTime: codec.Millis(be.Uint64(p[17:])),
		ProducersAsOf: codec.Index(be.Uint64(p[25:]))}
	n, p := int64(be.Uint32(p[33:])), p[snapshotHeadBytes:]
	if s.Next < 0 || n > int64(len(p)) {
		return Snapshot{}, fmt.Errorf("parse snapshot: next offset %d, producers of %d bytes in %d", s.Next, n, len(p))
	}
	var err error
	if s.Producers, err = ImportProducers(p[:n]); err != nil {
		return Snapshot{}, fmt.Errorf("parse snapshot: %w", err)
	}
	s.State = p[n:]
	return s, nil
}
