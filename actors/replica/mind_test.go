package replica

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// alone is a group of one that leads and is open.
func alone(t *testing.T) (*world, *node) {
	w := newWorld(t, 1)
	n := w.nodes[0]
	n.mind.Campaign()
	w.take(n)
	w.stabilize()
	require.True(t, n.mind.open)
	return w, n
}

func TestNewRefusesWhatRaftPanicsAt(t *testing.T) {
	for says, spoil := range map[string]func(*disk){
		"commit index 9 is outside the log's [1, 2]":            func(d *disk) { d.commit = 9 },
		"commit index 0 is outside the log's [1, 2]":            func(d *disk) { d.commit = 0 },
		"the log ends in term 2, the hard state is of term 1":   func(d *disk) { d.entries[0].Term = 2 },
		"the log ends in term 1, the hard state is of term 0":   func(d *disk) { d.term, d.vote, d.commit = 0, 0, 0 },
		"read the uncommitted end of the log: parse descriptor": func(d *disk) { d.entries[0].Data = []byte{1, 2} },
	} {
		t.Run(says, func(t *testing.T) {
			d := newDisk([]codec.ReplicaID{1})
			d.entries = []Entry{{Index: 2, Term: 1}}
			spoil(d)
			_, err := New(Config{Group: 7, ID: 1, Storage: d})
			require.ErrorContains(t, err, "start replica 1 of group 7: "+says)
		})
	}
	_, err := New(Config{Group: 7, ID: 1, Storage: newDisk([]codec.ReplicaID{1}), Applied: 2})
	require.ErrorContains(t, err, "applied index 2 is outside [1, 1]")
}

func TestAppendsComeBackOnceInOrder(t *testing.T) {
	w, n := alone(t)
	require.NoError(t, w.produce(n, batch("a", 1)))
	w.take(n)
	require.NoError(t, w.produce(n, batch("b", 1)))
	w.take(n)
	require.Len(t, n.queue, 2)
	require.Panics(t, func() { n.mind.Persisted(n.queue[1]) })
	first := n.queue[0]
	w.persist(n, 1)
	require.Panics(t, func() { n.mind.Persisted(first) })
}

// A batch proposed and then, before any Take, overtaken by a newer term is
// still in the log: its payload must be too. One that was not proposed is not,
// and whoever sent it may know.
func TestPayloadOutlivesLeadership(t *testing.T) {
	w := newWorld(t, 3)
	n := w.nodes[0]
	n.mind.Campaign()
	w.take(n)
	w.stabilize()
	require.NoError(t, w.produce(n, batch("late", 1)))
	require.NoError(t, n.mind.Propose(codec.AppendStartEntry(nil, 0), "start")) // behind what waits
	require.NoError(t, w.produce(n, batch("too late", 1)))
	step(t, n, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(9))})
	fx := n.mind.Take()
	require.Len(t, fx.Appends, 1)
	require.Equal(t, "late", string(fx.Appends[0].Entries[0].Payloads[0][codec.BatchHeaderBytes:]))
	require.Len(t, fx.Appends[0].Entries, 2)
	require.Len(t, fx.Answers, 3)
	require.ErrorIs(t, fx.Answers[0].Err, codec.E(codec.Unknown))
	require.ErrorIs(t, fx.Answers[1].Err, codec.E(codec.Unknown))
	require.ErrorIs(t, fx.Answers[2].Err, codec.E(codec.Unavailable))
	require.Equal(t, &Role{Term: 9, Lead: 2}, fx.Role)
	require.Zero(t, n.mind.InFlight())
}

// Nothing leaves for the disk that need not be durable: the next commit index
// goes along with the next Append.
func TestCommitAloneIsNoAppend(t *testing.T) {
	w, n := alone(t)
	require.NoError(t, w.produce(n, batch("a", 1)))
	w.take(n)
	w.persist(n, 1)
	require.Empty(t, n.queue)
	require.Equal(t, codec.Index(3), n.mind.Commit())
	require.NoError(t, w.produce(n, batch("b", 1)))
	w.take(n)
	require.Equal(t, codec.Index(3), n.queue[0].Commit)
	require.False(t, n.queue[0].Hard)
}

func TestStepRefuses(t *testing.T) {
	w := newWorld(t, 3)
	n := w.nodes[0]
	good := func() *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(3)), Index: new(uint64(1)), LogTerm: new(uint64(1)),
			Entries: []*raftpb.Entry{{Index: new(uint64(2)), Term: new(uint64(3)), Data: batchEntry(0, 1, 5)}}}
	}
	for says, spoil := range map[string]func(*raftpb.Message){
		"no replica sends this":                                   func(m *raftpb.Message) { m.Type = raftpb.MsgProp.Enum() },
		"it is for replica 2, this is 1":                          func(m *raftpb.Message) { m.To = new(uint64(2)) },
		"it names no other replica as its sender":                 func(m *raftpb.Message) { m.From = nil },
		"it has no term":                                          func(m *raftpb.Message) { m.Term = nil },
		"entry 3 of term 3 cannot follow entry 1 of term 1":       func(m *raftpb.Message) { m.Entries[0].Index = new(uint64(3)) },
		"entry 2 of term 0 cannot follow entry 1 of term 1":       func(m *raftpb.Message) { m.Entries[0].Term = nil },
		"entry 2 of term 4 cannot follow entry 1 of term 1":       func(m *raftpb.Message) { m.Entries[0].Term = new(uint64(4)) },
		"entry 2: parse descriptors: 1 bytes, want some times 50": func(m *raftpb.Message) { m.Entries[0].Data = []byte{1, 1} },
		"entry 2: read configuration change":                      func(m *raftpb.Message) { m.Entries[0].Type = raftpb.EntryConfChangeV2.Enum() },
		"the snapshot is empty":                                   func(m *raftpb.Message) { m.Type = raftpb.MsgSnap.Enum() },
		"replica 5 is not in group 7":                             func(m *raftpb.Message) { m.Type, m.From = raftpb.MsgAppResp.Enum(), new(uint64(5)) },
		"parse snapshot: 1 bytes, not of version 2": func(m *raftpb.Message) {
			m.Type = raftpb.MsgSnap.Enum()
			m.Snapshot = &raftpb.Snapshot{Data: []byte{9}, Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(4))}}
		},
	} {
		m := good()
		spoil(m)
		require.ErrorContains(t, n.mind.Step(m), says)
		require.Equal(t, Role{Term: 1}, n.mind.Role(), "nothing has changed")
	}
	require.NoError(t, n.mind.Step(good()))
}

// A leader's heartbeat tells what this replica acknowledged. One whose log ends
// before that was damaged: raft would panic, and the mind says so.
func TestAHeartbeatBehindTheEndIsDamage(t *testing.T) {
	w := newWorld(t, 3)
	n := w.nodes[0]
	beat := func(term, commit uint64) error {
		return n.mind.Step(&raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: &term, Commit: &commit})
	}
	require.NoError(t, beat(3, 1))
	require.NoError(t, beat(2, 9), "of a leader that is none any more")
	var lost *Lost
	require.ErrorAs(t, beat(3, 2), &lost)
	require.Equal(t, Lost{Acknowledged: 2, Last: 1}, *lost)
	require.ErrorAs(t, beat(4, 7), &lost)
	require.Equal(t, codec.Term(3), n.mind.Role().Term, "nothing has changed")
}

func TestLoggerPanics(t *testing.T) {
	for name, f := range map[string]func(raftLogger){
		"Panicf": func(l raftLogger) { l.Panicf("%d", 1) }, "Panic": func(l raftLogger) { l.Panic(1) },
		"Fatalf": func(l raftLogger) { l.Fatalf("%d", 1) }, "Fatal": func(l raftLogger) { l.Fatal(1) },
	} {
		require.PanicsWithValue(t, "replica: raft: 1", func() { f(raftLogger{}) }, name)
	}
	var said heard
	l := raftLogger{&said}
	l.Debug(1)
	l.Debugf("%d", 2)
	l.Info(3)
	l.Infof("%d", 4)
	l.Warning(5)
	l.Warningf("%d", 6)
	l.Error(7)
	l.Errorf("%d", 8)
	require.Equal(t, heard{"D1", "D2", "I3", "I4", "W5", "W6", "E7", "E8"}, said)
}

type heard []string

func (h *heard) Debugf(f string, a ...any) { *h = append(*h, "D"+fmt.Sprintf(f, a...)) }
func (h *heard) Infof(f string, a ...any)  { *h = append(*h, "I"+fmt.Sprintf(f, a...)) }
func (h *heard) Warnf(f string, a ...any)  { *h = append(*h, "W"+fmt.Sprintf(f, a...)) }
func (h *heard) Errorf(f string, a ...any) { *h = append(*h, "E"+fmt.Sprintf(f, a...)) }

func step(t *testing.T, n *node, m *raftpb.Message) {
	t.Helper()
	require.NoError(t, n.mind.Step(m))
}
