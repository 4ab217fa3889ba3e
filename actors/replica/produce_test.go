package replica

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

func TestProduceRefuses(t *testing.T) {
	w := newWorld(t, 3)
	n := w.nodes[0]
	refused := func(code codec.Code, says string) {
		t.Helper()
		err := n.mind.Produce(1, batch("x", 1), nil)
		require.ErrorIs(t, err, codec.E(code))
		require.ErrorContains(t, err, says)
		require.Error(t, n.mind.Propose(codec.AppendCommandEntry(nil, []byte("c")), nil))
	}
	refused(codec.Unavailable, "group 7 has no leader in term 1")
	step(t, n, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(2))})
	refused(codec.NotLeader, "replica 2 leads group 7 in term 2")
}

// A leader takes nothing before it has applied an entry of its own term: it
// does not know yet where the log ends and what its producers sent.
func TestProduceWaitsForOwnTerm(t *testing.T) {
	w := newWorld(t, 1)
	n := w.nodes[0]
	n.mind.Campaign()
	w.take(n)
	w.persist(n, 1)
	require.True(t, n.mind.Role().Leader)
	require.ErrorContains(t, n.mind.Produce(1, batch("x", 1), nil), "has not yet committed in its term 2")
	w.persist(n, 1)
	require.NoError(t, n.mind.Produce(1, batch("x", 1), nil))
}

func TestProduceIsBoundedByPayloadBytes(t *testing.T) {
	w, n := alone(t)
	n.mind.cfg.InFlightBytesMax = 1000
	big := batch(strings.Repeat("x", 2000), 1)
	require.NoError(t, w.produce(n, big), "one batch always fits")
	err := w.produce(n, batch("y", 1))
	require.ErrorIs(t, err, codec.E(codec.Overloaded))
	require.ErrorContains(t, err, "2061 bytes in flight, 62 more would exceed 1000")
	w.take(n)
	w.stabilize()
	require.Zero(t, n.mind.InFlight())
	require.NoError(t, w.produce(n, batch("y", 1)))
}

func TestProduceStamps(t *testing.T) {
	w, n := alone(t)
	a, b := batch("a", 3), batch("b", 1)
	w.now = 50
	require.NoError(t, w.produce(n, a))
	w.now = 40 // the clock goes back, the log does not
	require.NoError(t, w.produce(n, b))
	require.Equal(t, codec.Offset(3), b.BaseOffset())
	require.Equal(t, codec.Epoch(2), b.Epoch())
	fx := n.mind.Take()
	require.Len(t, fx.Appends[0].Entries, 1, "what waits together is one entry")
	run, _, err := codec.ParseBatchEntry(fx.Appends[0].Entries[0].Data)
	require.NoError(t, err)
	require.Equal(t, 2, run.Len())
	require.Equal(t, codec.Millis(50), run.At(1).AppendTime)
	require.Same(t, &b[0], &fx.Appends[0].Entries[0].Payloads[1][0], "the batch is not copied")
}

func TestProduceStopsAtTheLastEpoch(t *testing.T) {
	d := newDisk([]codec.ReplicaID{1})
	d.term = epochMax
	w := newWorld(t, 1)
	w.nodes = nil
	n := w.add(1, d)
	n.mind.Campaign()
	w.take(n)
	w.stabilize()
	err := w.produce(n, batch("x", 1))
	require.ErrorIs(t, err, codec.E(codec.Internal))
	require.ErrorContains(t, err, "group 7 is in term 2147483648, a batch's epoch ends at 2147483647")
}

func TestProposeAnswers(t *testing.T) {
	w, n := alone(t)
	command := codec.AppendCommandEntry(nil, []byte("create"))
	require.NoError(t, n.mind.Propose(command, "c1"))
	require.NoError(t, n.mind.Propose(command, "c2"), "the same again is another entry")
	require.ErrorIs(t, n.mind.Propose(nil, nil), codec.E(codec.InvalidArgument))
	require.ErrorIs(t, n.mind.Propose(batchEntry(0, 1, 1), nil), codec.E(codec.InvalidArgument))
	fx := n.mind.Take()
	n.disk.write(fx.Appends[0])
	n.mind.Persisted(fx.Appends[0])
	fx = n.mind.Take()
	require.Equal(t, []Answer{{Token: "c1", Index: 3, Term: 2}, {Token: "c2", Index: 4, Term: 2}}, fx.Answers)
	require.Equal(t, command, fx.Committed[1].Data)
	_ = w
}

// What lies over the table ends with the leadership: a batch sent again to
// the same replica, leader once more, is not tied to an outcome nobody tells.
func TestFlightsEndWithLeadership(t *testing.T) {
	w := newWorld(t, 3)
	n := w.nodes[0]
	n.mind.Campaign()
	w.take(n)
	w.stabilize()
	require.NoError(t, w.produce(n, producerBatch("s0", 1, 9, 0, 0)))
	require.Len(t, n.mind.flights, 1)
	step(t, n, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(9))})
	require.Empty(t, n.mind.flights)
	require.Empty(t, n.mind.pending)
}
