package world

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// three is a cluster of three nodes with a topic of two partitions, into which
// some records went.
func three(t *testing.T, seed uint64) *Cluster {
	w := New(seed, worldBegins)
	t.Cleanup(w.Close)
	c, err := newCluster(w, 3)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.close()) })
	require.NoError(t, c.found())
	require.NoError(t, c.createTopic("t", 2, 3, nil))
	for range 30 {
		c.write(t, c.logs[0])
		c.write(t, c.logs[1])
	}
	require.NoError(t, c.w.RunFor(time.Second))
	return c
}

// write has a record acknowledged.
func (c *Cluster) write(t *testing.T, log codec.TopicPartition) {
	t.Helper()
	require.NoError(t, c.oneMore(log, time.Minute))
}

// follower is a node that does not lead a log, and its handle.
func (c *Cluster) follower(t *testing.T, log codec.TopicPartition) (*Node, *actors.Handle) {
	lead, _ := c.leader(log)
	for _, n := range c.nodes {
		if n != lead {
			h, err := n.Broker.Partition(log)
			require.NoError(t, err)
			return n, h
		}
	}
	return nil, nil
}

// segmentOf is the first segment of a log on a node.
func (c *Cluster) segmentOf(t *testing.T, n *Node, log codec.TopicPartition) string {
	s := n.Broker.Metadata()
	group := s.Topics[log.Topic].Partitions[log.Partition].Group
	all, err := filepath.Glob(filepath.Join(n.Disk.Root(), "data", "g"+string('0'+rune(group))+"-r*", "seg", "*.seg"))
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all[0]
}

// A follower finds its damage by a reader: the reader is sent elsewhere, the
// replica is out of the group now and after the next start, and all else of the
// node goes on.
func TestAQuarantinedReplicaSendsItsReadersElsewhere(t *testing.T) {
	c := three(t, 1)
	log, other := c.logs[0], c.logs[1]
	n, h := c.follower(t, log)
	require.NoError(t, n.Disk.FlipBit(c.segmentOf(t, n, log), 100, 3))
	for range 2 {
		_, err := h.Read(nil, 0, 1000)
		var e *codec.Error
		require.True(t, errors.As(err, &e))
		require.Equal(t, codec.NotLeader, e.Code, "%v", err)
		require.NotEmpty(t, e.Leader)
		require.NotEqual(t, string(n.name), e.Leader)
		require.NoError(t, c.w.RunFor(time.Second))
		require.Equal(t, codec.CorruptLog, c.atlas.trouble(n, log))
	}
	require.Equal(t, 1, c.seen[actors.SeenQuarantine])
	require.NoError(t, c.w.RunFor(15*time.Second)) // nothing is written meanwhile
	require.Equal(t, 2, c.sees(log))
	require.Equal(t, 3, c.sees(other))
	c.write(t, log)
	c.write(t, other)

	c.kill(n, Kept)
	c.revive(n)
	require.NoError(t, c.w.Run(c.allStarted, time.Minute))
	require.NoError(t, c.w.RunFor(15*time.Second))
	require.Equal(t, codec.CorruptLog, c.atlas.trouble(n, log))
	require.Equal(t, 2, c.sees(log))
	require.Equal(t, 3, c.sees(other))
	require.ErrorContains(t, c.atlas.judge(), "nothing was done to it", "the world knows of no damage of its own making")
}

// replicaOn is the replica of a log on a node.
func (c *Cluster) replicaOn(n *Node, log codec.TopicPartition) codec.ReplicaID {
	for _, r := range c.atlas.newest().Topics[log.Topic].Partitions[log.Partition].Staying() {
		if r.Node == n.name {
			return r.ID
		}
	}
	return 0
}

// A damaged replica is replaced where it was, under another id; when the new one
// has everything, the old one goes.
func TestADamagedReplicaIsReplaced(t *testing.T) {
	c := three(t, 7)
	log := c.logs[0]
	n, h := c.follower(t, log)
	old := c.segmentOf(t, n, log)
	was := c.replicaOn(n, log)
	require.NoError(t, n.Disk.FlipBit(old, 100, 3))
	_, err := h.Read(nil, 0, 1000)
	require.Equal(t, codec.NotLeader, codec.CodeOf(err))
	require.NoError(t, c.w.Run(func() bool { return c.seen[actors.SeenMoved] > 0 }, 2*time.Minute))
	require.NoError(t, c.w.Run(c.buried, time.Minute))
	require.NotEqual(t, was, c.replicaOn(n, log))
	require.NoFileExists(t, old)
	c.write(t, log)
	for _, log := range c.logs {
		require.NoError(t, c.converge(log, time.Minute))
		require.NoError(t, c.inSync(log, time.Minute))
	}
	require.Equal(t, 3, c.sees(log))
	require.Equal(t, codec.NotLeader, c.atlas.trouble(n, log), "it follows")
	violations, err := c.judge(0)
	require.NoError(t, err)
	require.Empty(t, violations)
	require.NoError(t, c.broken)
}

// sees is how many replicas the leader of a log counts as in sync.
func (c *Cluster) sees(log codec.TopicPartition) int {
	lead, _ := c.leader(log)
	if lead == nil {
		return 0
	}
	for _, p := range lead.Broker.Stats().Partitions {
		if p.Name == log {
			return p.InSync
		}
	}
	return 0
}

// A leader that finds that it is damaged hands over, sooner than an election
// would begin by itself.
func TestALeaderThatFindsItsDamageGivesUp(t *testing.T) {
	c := three(t, 2)
	log := c.logs[0]
	lead, h := c.leader(log)
	require.NoError(t, lead.Disk.ZeroRange(c.segmentOf(t, lead, log), 512, 1024))
	_, err := h.Read(nil, 0, 1<<20) // past a batch that may be large
	require.Equal(t, codec.NotLeader, codec.CodeOf(err), "%v", err)
	require.NoError(t, c.w.RunFor(500*time.Millisecond))
	now, _ := c.leader(log)
	require.NotNil(t, now)
	require.NotSame(t, lead, now)
	c.write(t, log)
	require.Equal(t, codec.CorruptLog, c.atlas.trouble(lead, log))
}

// The last group of a log rots, and nothing on its disk says that it was ever
// durable: it is cut as a torn write is. The leader knows that it was
// acknowledged, and the replica is quarantined instead of forgetting it.
func TestAnAcknowledgedEndThatIsGoneIsFound(t *testing.T) {
	c := three(t, 3)
	log := c.logs[0]
	n, _ := c.follower(t, log)
	c.write(t, log)
	require.NoError(t, c.w.RunFor(10*time.Millisecond))
	s := c.nodes[0].Broker.Metadata()
	group := s.Topics[log.Topic].Partitions[log.Partition].Group
	c.kill(n, Kept)
	walFiles, err := filepath.Glob(filepath.Join(n.Disk.Root(), "data", "g"+string('0'+rune(group))+"-r*", "wal", "*"))
	require.NoError(t, err)
	last := walFiles[len(walFiles)-1]
	p, err := os.ReadFile(last)
	require.NoError(t, err)
	at := int64(len(p)) - 1
	for p[at] == 0 {
		at--
	}
	require.NoError(t, n.Disk.FlipBit(last, at, 1))
	c.revive(n)
	require.NoError(t, c.w.Run(c.allStarted, time.Minute))
	require.NoError(t, c.w.RunFor(time.Second))
	require.Positive(t, c.seen[actors.SeenTornEnd])
	require.Equal(t, codec.CorruptLog, c.atlas.trouble(n, log))
	require.NoError(t, c.broken, "nobody panicked")
	c.write(t, log)
}

// A founder whose disk is lost comes back as if nothing had been founded yet. It
// is told, nobody listens to what it says for its replicas, and together with one
// that was away it is no majority.
func TestAForgetfulFounderHasNoVote(t *testing.T) {
	c := three(t, 4)
	lost, away, third := c.nodes[0], c.nodes[1], c.nodes[2]
	c.kill(third, Kept)
	c.kill(lost, Kept)
	require.NoError(t, lost.Disk.Wipe())
	lost.forgetful = true
	c.revive(lost)
	for range 60 {
		require.NoError(t, c.w.RunFor(500*time.Millisecond))
		require.False(t, lost.started)
		for _, n := range []*Node{lost, away} {
			require.False(t, n.Broker.LeadsMetadata(), "%s leads the metadata", n.name)
		}
		require.Nil(t, c.leads(c.logs[0]))
	}
	c.revive(third)
	require.NoError(t, c.w.Run(func() bool { return third.started && lost.failure != nil }, time.Minute))
	require.Regexp(t, "has disk .* in this cluster, not|acknowledged entry", lost.failure.Error())
	require.False(t, lost.Broker.LeadsMetadata())
	c.write(t, c.logs[0])
	c.write(t, c.logs[1])
}

// One that has just started has forgotten who is registered with which disk, and
// must not be elected by a founder that has forgotten everything.
func TestAForgetfulFounderElectsNobody(t *testing.T) {
	c := three(t, 4)
	behind, away, lost := c.nodes[0], c.nodes[1], c.nodes[2]
	for _, n := range c.nodes {
		c.kill(n, Kept)
	}
	require.NoError(t, lost.Disk.Wipe())
	lost.forgetful = true
	c.revive(lost)
	c.revive(behind)
	for range 60 {
		require.NoError(t, c.w.RunFor(500*time.Millisecond))
		for _, n := range []*Node{lost, behind} {
			require.False(t, n.Broker.LeadsMetadata(), "%s leads the metadata", n.name)
		}
	}
	c.revive(away)
	require.NoError(t, c.w.Run(func() bool { return away.started && behind.started && lost.failure != nil }, time.Minute))
	c.write(t, c.logs[0])
	c.write(t, c.logs[1])
	require.NoError(t, c.broken)
}

func (c *Cluster) leads(log codec.TopicPartition) *Node {
	n, _ := c.leader(log)
	return n
}

// A node whose metadata is damaged does not start, and says which file it is; the
// others go on.
func TestDamagedMetadataKeepsANodeOut(t *testing.T) {
	c := three(t, 5)
	n := c.nodes[2]
	c.kill(n, Lost)
	list, err := filepath.Glob(filepath.Join(n.Disk.Root(), "data", "g1-r*", "wal", "*"))
	require.NoError(t, err)
	require.NoError(t, n.Disk.FlipBit(list[0], 60, 0))
	c.revive(n)
	require.NoError(t, c.w.Run(func() bool { return n.failure != nil }, time.Minute))
	require.ErrorContains(t, n.failure, "metadata is quarantined here")
	require.ErrorContains(t, n.failure, list[0])
	require.Error(t, n.Broker.Ready())
	c.write(t, c.logs[0])
	c.write(t, c.logs[1])
	require.NoError(t, c.broken)
}

// The atlas never lets more than a minority of a log be damaged or lost, and
// damages a replica once.
func TestTheAtlasKeepsItsBudget(t *testing.T) {
	c := three(t, 6)
	n1, n2 := c.nodes[0], c.nodes[1]
	require.True(t, c.atlas.allows(n1, 2))
	c.atlas.damaged = append(c.atlas.damaged, &damage{node: n1, group: 2, id: c.replicaOn(n1, c.logs[0])})
	require.False(t, c.atlas.allows(n1, 2), "twice")
	require.False(t, c.atlas.allows(n2, 2), "another of the same log")
	require.True(t, c.atlas.allows(n2, 3), "another log")
	require.False(t, c.atlas.allows(n2, 0), "the whole node")
	require.True(t, c.atlas.allows(n1, 0), "the whole node of the one that is damaged")
	c.atlas.damaged = append(c.atlas.damaged, &damage{node: n2, group: 3, id: c.replicaOn(n2, c.logs[1])})
	require.False(t, c.atlas.allows(n1, 0))
	c.atlas.damaged, c.atlas.lost = nil, []*Node{n2}
	require.False(t, c.atlas.allows(n1, 2))
	require.False(t, c.atlas.allows(n1, codec.MetadataGroup))
}

// Whoever still goes to a replica that has moved away is sent on. Its topic is
// there: to be told that it was deleted would end a producer for good.
func TestAReplicaThatMovedAwaySendsItsClientsOn(t *testing.T) {
	c := three(t, 11)
	log := c.logs[0]
	n, h := c.follower(t, log)
	var stay []codec.NodeID
	for _, other := range c.nodes {
		if other != n {
			stay = append(stay, other.name)
		}
	}
	told := errors.New("not told")
	n.Broker.ChangeReplicas(log, stay, func(err error) { told = err })
	gone := func() bool {
		_, err := n.Broker.Partition(log)
		return codec.CodeOf(err) == codec.NotLeader && c.buried()
	}
	require.NoError(t, c.w.Run(gone, time.Minute))
	require.NoError(t, told)
	_, err := h.Read(nil, 0, 1000)
	var coded *codec.Error
	require.ErrorAs(t, err, &coded)
	require.Equal(t, codec.NotLeader, coded.Code, "%v", err)
	require.NotEmpty(t, coded.Leader)
	c.write(t, log)

	done := false
	n.Broker.DeleteTopic(log.Topic, func(err error) { told, done = err, true })
	other, err := n.Broker.Partition(c.logs[1])
	require.NoError(t, err)
	require.NoError(t, c.w.Run(func() bool { return done && c.buried() }, time.Minute))
	require.NoError(t, told)
	_, err = other.Read(nil, 0, 1000)
	require.Equal(t, codec.UnknownTopic, codec.CodeOf(err), "%v", err)
}

// After an fsync of the data directory that failed, nothing that is made there is known
// to stay. The broker ends, and the next one begins with what there is; a loss of power
// after that takes nothing that was promised.
func TestABrokerWhoseDirectoryCannotBeFsyncedEnds(t *testing.T) {
	said := func(codec.TopicDescription, error) {}
	for _, what := range []struct {
		name string
		do   func(*actors.Broker)
	}{
		{"a replica is made", func(b *actors.Broker) {
			b.CreateTopic(codec.CreateTopic{Topic: "more", Partitions: 2, Replicas: 3}, said)
		}},
		{"a replica is removed", func(b *actors.Broker) { b.DeleteTopic("less", func(error) {}) }},
	} {
		t.Run(what.name, func(t *testing.T) { directoryFails(t, what.do) })
	}
}

func directoryFails(t *testing.T, do func(*actors.Broker)) {
	c := three(t, 27)
	require.NoError(t, c.createTopic("less", 1, 3, nil))
	c.logs = c.logs[:len(c.logs)-1]
	n := c.nodes[0]
	n.Disk.Inject(func(call Call) Fault {
		if call.Op == "syncdir" && call.Name == "data" {
			n.Disk.Inject(nil)
			return EIO
		}
		return None
	})
	do(c.nodes[1].Broker)
	require.NoError(t, c.w.Run(func() bool { return c.struck["ended"] == 1 }, time.Minute))
	require.ErrorContains(t, n.failure, "fsync failed")
	require.True(t, wal.IsNamesFailed(n.failure))
	require.ErrorIs(t, n.Broker.Ready(), n.failure, "it says so")
	require.NoError(t, c.w.Run(func() bool { return n.started }, time.Minute))
	require.NoError(t, c.createTopic("again", 1, 3, nil))
	for _, log := range c.logs {
		c.write(t, log)
	}
	for _, n := range c.nodes {
		c.kill(n, Lost)
	}
	for _, n := range c.nodes {
		c.revive(n)
	}
	require.NoError(t, c.w.Run(c.allStarted, time.Minute))
	for _, log := range c.logs {
		c.write(t, log)
	}
	require.NoError(t, c.broken)
}
