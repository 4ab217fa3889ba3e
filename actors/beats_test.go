package actors

import (
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// drums is a link that keeps letters of beats, by whom they are for.
type drums map[codec.NodeID][]*codec.Beats

func (d drums) Send(to codec.NodeID, parts [][]byte) {
	p := slices.Concat(parts...)
	l, err := codec.ParseBeats(p)
	if err != nil {
		panic(err)
	}
	if lane := codec.LaneOf(parts); lane != codec.LaneControl {
		panic("beats travel behind batches")
	}
	d[to] = append(d[to], l)
}

// alarm is a clock whose one timer the test rings.
type alarm struct {
	testClock
	set int
}

func (a *alarm) After(time.Duration, func()) func() { a.set++; return func() {} }

// What waits for one broker leaves in one letter, in order; each beat keeps what it says;
// one timer is set for all; a letter that is full leaves at once, and nothing is said twice.
func TestLawsOfTheDrummer(t *testing.T) {
	link, clock := drums{}, &alarm{}
	house := newHouse(Config{Ports: Ports{Clock: clock, Chance: zeros{}, Link: link}})
	t.Cleanup(house.system.Shutdown)
	house.cluster, house.disk = codec.UUID{1: 2}, codec.UUID{1: 3}
	d := &drummer{house: house, waiting: map[codec.NodeID][]codec.Beat{}}
	beat := func(i int) codec.Beat {
		return codec.Beat{Answer: i%3 == 0, Group: codec.GroupID(i), From: codec.ReplicaID(2 * i), To: codec.ReplicaID(2*i + 1), Term: 5}
	}
	due := func() {
		for _, node := range d.to {
			d.send(node)
		}
		d.to = d.to[:0]
	}
	for i := range 5 {
		d.add(&drum{"n2", beat(i)})
		d.add(&drum{"n3", beat(i + 10)})
	}
	require.Empty(t, link, "they wait for others")
	require.Equal(t, 1, clock.set)
	due()
	require.Equal(t, drums{
		"n2": {{Cluster: house.cluster, Disk: house.disk, List: []codec.Beat{beat(0), beat(1), beat(2), beat(3), beat(4)}}},
		"n3": {{Cluster: house.cluster, Disk: house.disk, List: []codec.Beat{beat(10), beat(11), beat(12), beat(13), beat(14)}}},
	}, link)
	due()
	require.Len(t, link["n2"], 1, "nothing waits")

	clear(link)
	for i := range 2*codec.BeatsMax + 1 {
		d.add(&drum{"n2", beat(i)})
	}
	require.Len(t, link["n2"], 2)
	require.Equal(t, 2, clock.set)
	due()
	require.Len(t, link["n2"], 3)
	for i := range 2*codec.BeatsMax + 1 {
		require.Equal(t, beat(i), link["n2"][i/codec.BeatsMax].List[i%codec.BeatsMax])
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A heartbeat and its answer come out as they went in; one that carries a context, and
// all else, does not travel that way.
func TestABeatIsTheMessageThatItWas(t *testing.T) {
	of := func(typ raftpb.MessageType, context []byte) *raftpb.Message {
		from, to, term, commit := uint64(4), uint64(5), uint64(6), uint64(7)
		m := &raftpb.Message{Type: typ.Enum(), From: &from, To: &to, Term: &term, Context: context}
		if typ == raftpb.MsgHeartbeat {
			m.Commit = &commit
		}
		return m
	}
	for _, typ := range []raftpb.MessageType{raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp} {
		m := of(typ, nil)
		require.True(t, beats(m))
		got := hearBeat("n2", beatOf(9, m))
		require.True(t, proto.Equal(m, got.raft), "%v became %v", m, got.raft)
		require.Equal(t, heard{node: "n2", from: 4, to: 5, raft: got.raft}, *got)
		require.False(t, beats(of(typ, []byte("who leads?"))), "somebody waits for the answer")
	}
	for typ := range raftpb.MessageType_name {
		if typ := raftpb.MessageType(typ); typ != raftpb.MsgHeartbeat && typ != raftpb.MsgHeartbeatResp {
			require.False(t, beats(of(typ, nil)), typ)
		}
	}
}

// Each beat of a letter reaches its replica; those of replicas that are not here are
// nobody's; a strange disk is not heard at all.
func TestBeatsReachTheirReplicas(t *testing.T) {
	b := startBroker(t, t.TempDir())
	defer closeBroker(t, b)
	got := make(chan *heard, 10)
	pid := b.house.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*heard); ok {
			got <- m
		}
	}))
	whole := b.table.Load()
	defer b.table.Store(whole)
	with := &table{groups: map[codec.GroupID]*Handle{}}
	for g := codec.GroupID(50); g < 52; g++ {
		h := newHandle(b.house, codec.TopicPartition{}, "t/0")
		h.pid.Store(pid)
		with.groups[g] = h
	}
	b.table.Store(with)
	own, strange := codec.UUID{15: 1}, codec.UUID{15: 2}
	s := *b.published.Load()
	was := b.published.Load()
	defer b.published.Store(was)
	s.Nodes = map[codec.NodeID]cluster.Node{"other": {Name: "other", Disk: own, Epoch: 1}}
	s.NextReplica = 9
	b.published.Store(&s)
	id, _ := b.Identity()
	l := codec.Beats{Cluster: id, Disk: own, List: []codec.Beat{{Group: 50, From: 1, To: 2, Term: 3, Commit: 4}, {Group: 99, From: 1, To: 2, Term: 3}, {Answer: true, Group: 51, From: 5, To: 6, Term: 7}}}
	require.NoError(t, b.hear("other", l.Encode()))
	first, second := <-got, <-got
	require.Equal(t, uint64(4), first.raft.GetCommit())
	require.Equal(t, codec.ReplicaID(2), first.to)
	require.Equal(t, raftpb.MsgHeartbeatResp, second.raft.GetType())
	require.Equal(t, codec.ReplicaID(5), second.from)
	l.Disk = strange
	require.ErrorContains(t, b.hear("other", l.Encode()), "is registered with")
	require.NoError(t, b.house.system.Root.PoisonFuture(pid).Wait())
	require.Empty(t, got)
}
