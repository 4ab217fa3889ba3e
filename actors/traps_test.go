package actors

import (
	"slices"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// Metadata that does not mention a replica says nothing about its data: an empty
// or an older state removes nothing.
func TestMetadataThatIsOlderRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, createTopic(b, "t", 3, nil).err)
	whole := b.published.Load()
	for _, s := range []cluster.State{cluster.NewState(), {Cluster: whole.Cluster, Nodes: whole.Nodes, Topics: map[codec.Topic]cluster.Topic{}}} {
		b.published.Store(&s)
		seen := make(chan struct{})
		b.house.toBroker(metadataChanged{})
		b.house.toBroker(&passed{func() { close(seen) }})
		<-seen
		for _, p := range whole.Topics["t"].Partitions {
			require.DirExists(t, replicaDir(dir, p.Group, p.Replicas[0].ID))
		}
	}
	b.published.Store(whole)
	b.house.toBroker(metadataChanged{})
	seen := make(chan struct{})
	b.house.toBroker(&passed{func() { close(seen) }})
	<-seen
	h, err := b.Partition(codec.TopicPartition{Topic: "t", Partition: 2})
	require.NoError(t, err)
	require.NoError(t, (&stage{handle: h}).produce(batchOf(t, 1, 10)).err)
	closeBroker(t, b)
}

// What a broker says for its replicas from another disk than the one that it is
// registered with is not heard: what that promised is forgotten.
func TestAStrangeDiskIsNotHeard(t *testing.T) {
	b := startBroker(t, t.TempDir())
	whole := *b.published.Load()
	own, strange := codec.UUID{15: 1}, codec.UUID{15: 2}
	s := whole
	s.Nodes = map[codec.NodeID]cluster.Node{"other": {Name: "other", Disk: own, Epoch: 1}}
	s.NextReplica = 3
	b.published.Store(&s)
	id, _ := b.Identity()
	replica := codec.ReplicaID(2)
	hear := func(from codec.NodeID, disk codec.UUID) error {
		l := codec.RaftLetter{Cluster: id, Disk: disk, Group: 99, From: replica, To: 1}
		return b.hear(from, slices.Concat(l.Encode()...))
	}
	require.NoError(t, hear("other", own))
	require.ErrorContains(t, hear("other", strange), "is registered with")
	require.NoError(t, hear("new", strange), "nobody is registered under that name")
	replica = 3
	require.NoError(t, hear("other", strange), "it was made since what is known here")
	b.published.Store(&whole)
	closeBroker(t, b)
}

// A replica that has not come to its last tick gets no other: many at once would
// look like a long silence of its leader.
func TestTicksDoNotPileUp(t *testing.T) {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}}})
	ticks := make(chan struct{}, 100)
	pid := house.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(tick); ok {
			ticks <- struct{}{}
		}
	}))
	h := newHandle(house, codec.TopicPartition{}, "t/0")
	h.pid.Store(pid)
	h.members.Store(&members{list: []cluster.Replica{{ID: 1}, {ID: 2}}})
	k := &keeper{house: house, kept: map[codec.GroupID]*kept{2: {handle: h}}, order: []codec.GroupID{2}}
	for range 10 {
		k.tick()
	}
	<-ticks
	h.ticking.Store(false) // it has come to it
	k.tick()
	<-ticks
	require.NoError(t, house.system.Root.PoisonFuture(pid).Wait())
	require.Empty(t, ticks)
	house.system.Shutdown()
}

// A replica that looks for a leader gets each step of raft's time by itself; one that has
// a leader gets the same number, two at once, and two groups take turns.
func TestEachReplicaGetsItsTime(t *testing.T) {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}}})
	defer house.system.Shutdown()
	k := &keeper{house: house, kept: map[codec.GroupID]*kept{}, order: []codec.GroupID{2, 3, 4}}
	got := map[codec.GroupID]chan tick{}
	for _, g := range k.order {
		ticks := make(chan tick, 100)
		h := newHandle(house, codec.TopicPartition{}, "t/0")
		h.pid.Store(house.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(tick); ok {
				h.ticking.Store(false)
				ticks <- m
			}
		})))
		h.members.Store(&members{list: []cluster.Replica{{ID: 1}, {ID: 2}}})
		if g != 4 {
			h.publishState(state{open: true, lead: "n2"})
		}
		k.kept[g], got[g] = &kept{handle: h}, ticks
	}
	for i := range 20 {
		k.tick()
		first, second := codec.GroupID(2), codec.GroupID(3)
		if i%2 == 0 {
			first, second = second, first
		}
		want := stepsTogether
		if i == 0 {
			want = 1
		}
		require.Equal(t, tick{want}, <-got[first])
		require.Equal(t, tick{1}, <-got[4])
		require.Empty(t, got[second])
	}
}

// A log becomes one replica while its disk hangs. From then on it gets no ticks, and
// must not wait for one to say that the disk has answered.
func TestALogThatIsAloneIsNotMute(t *testing.T) {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}}})
	defer house.system.Shutdown()
	h := newHandle(house, codec.TopicPartition{}, "t/0")
	p := &Partition{house: house, pub: h, mute: true, seat: seat{members: []cluster.Replica{{ID: 1}, {ID: 2, Leaving: true}}, change: 7}}
	p.configure(&configure{members: &members{list: []cluster.Replica{{ID: 1}}}})
	require.False(t, p.mute)
}

// A replica that led and was closed has no mind, and hears of changes all the same.
func TestAClosedReplicaThatLedIsConfigured(t *testing.T) {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}}})
	defer house.system.Shutdown()
	h := newHandle(house, codec.TopicPartition{}, "t/0")
	p := &Partition{house: house, pub: h, serving: true, seat: seat{members: []cluster.Replica{{ID: 1}, {ID: 2, Leaving: true}}, change: 7}}
	p.leave(codec.Errorf(codec.Stopping, "the broker is stopping"))
	p.configure(&configure{members: &members{list: []cluster.Replica{{ID: 1}}}})
	require.False(t, p.serving)
}
