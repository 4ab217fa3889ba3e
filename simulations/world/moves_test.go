package world

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// What a reader of the code found about replicas that move, and no seed had: each
// is a play of its own.

// moving is a cluster of n nodes with a topic of one partition on some of them.
func moving(t *testing.T, seed uint64, n, replicas int) *Cluster {
	w := New(seed, worldBegins)
	t.Cleanup(w.Close)
	c, err := newCluster(w, n)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.close()) })
	require.NoError(t, c.found())
	require.NoError(t, c.createTopic("t", 1, replicas, nil))
	return c
}

// names are those of all nodes.
func (c *Cluster) names() (all []codec.NodeID) {
	for _, n := range c.nodes {
		all = append(all, n.name)
	}
	return all
}

// A log whose other replicas go says that one is in sync as soon as they are gone:
// nothing ticks there any more, that would look again. The last look comes too early
// in three of these seeds.
func TestALogThatIsLeftAloneSaysSo(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := moving(t, seed, 3, 3)
			log := c.logs[0]
			inSync := func() (n int) {
				for _, p := range c.leads(log).Broker.Stats().Partitions {
					if p.Name == log {
						n = p.InSync
					}
				}
				return n
			}
			require.NoError(t, c.run(func() bool { return c.leads(log) != nil && inSync() == 3 }, time.Minute))
			lead := c.leads(log)
			lead.Broker.ChangeReplicas(log, []codec.NodeID{lead.name}, func(err error) { require.NoError(t, err) })
			alone := func() bool {
				p := lead.Broker.Metadata().Topics["t"].Partitions[0]
				return p.Change == 0 && len(p.Replicas) == 1
			}
			require.NoError(t, c.run(alone, time.Minute))
			require.NoError(t, c.run(func() bool { return inSync() == 1 }, time.Second))
		})
	}
}

// A log that was alone gets other replicas while a record comes in: the memory of a
// batch that was taken before is its owner's again after the answer, and must not
// be sent to anybody.
func TestALogThatWasAloneGetsOthers(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := moving(t, seed, 3, 1)
			log := c.logs[0]
			require.NoError(t, c.run(func() bool { return c.leads(log) != nil }, time.Minute))
			lead, h := c.leader(log)
			lead.Broker.ChangeReplicas(log, c.names(), func(err error) { require.NoError(t, err) })
			decided := func() bool { return lead.Broker.Metadata().Topics["t"].Partitions[0].Change != 0 }
			require.NoError(t, c.run(decided, time.Minute))
			var b codec.Builder
			b.Append(1, nil, []byte("taken when the log was alone"), nil)
			p, err := b.Build(codec.NoCompression)
			require.NoError(t, err)
			batch := append(codec.Batch(nil), p...)
			// It comes before what the keeper says of the change, or behind, as the seed has it.
			require.NoError(t, h.Produce(context.Background(), batch, func(_ codec.Produced, err error) {
				require.NoError(t, err)
				clear(batch)
			}))
			require.NoError(t, c.run(c.unchanging, time.Minute))
			require.Len(t, c.atlas.newest().Topics["t"].Partitions[0].Replicas, 3)
			for _, n := range c.nodes {
				h, err := n.Broker.Partition(log)
				require.NoError(t, err)
				require.NoError(t, c.run(func() bool { _, high, err := h.Bounds(); return err == nil && high == 1 }, time.Minute))
				_, err = h.Read(nil, 0, 1)
				require.NoError(t, err)
			}
		})
	}
}

// A log is to be elsewhere before the node that it was first placed on has made it:
// there is nobody yet to copy it from, so it begins where it is wanted.
func TestALogThatNobodyHasMadeMoves(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprintf("the node is back %t", back), func(t *testing.T) {
			c := moving(t, 1, 3, 3)
			var away *Node
			for _, n := range c.nodes {
				if !n.Broker.LeadsMetadata() {
					away = n
				}
			}
			c.kill(away, Kept)
			for topic := 0; len(c.logs) < 2; topic++ { // some topic is placed there
				log := codec.TopicPartition{Topic: codec.Topic(fmt.Sprintf("x%d", topic))}
				done := false
				c.any().Broker.CreateTopic(codec.CreateTopic{Topic: log.Topic, Partitions: 1, Replicas: 1}, func(_ codec.TopicDescription, err error) {
					require.NoError(t, err)
					done = true
				})
				require.NoError(t, c.run(func() bool { return done }, time.Minute))
				if c.atlas.newest().Topics[log.Topic].Partitions[0].Replicas[0].Node == away.name {
					c.logs = append(c.logs, log)
				}
			}
			c.any().Broker.ChangeReplicas(c.logs[1], []codec.NodeID{c.any().name}, func(err error) { require.NoError(t, err) })
			if back {
				require.NoError(t, c.w.RunFor(5*time.Second))
				c.revive(away)
			}
			c.write(t, c.logs[1])
			c.revive(away)
			require.NoError(t, c.settle(settleWithin))
			require.NotEqual(t, away.name, c.atlas.newest().Topics[c.logs[1].Topic].Partitions[0].Replicas[0].Node)
		})
	}
}

// A node has no room for the replica that it is to make, and the log is to be
// elsewhere before it has. With a list of members that were never the first ones
// it must not begin: it would lead a group of its own with those that join.
func TestAReplicaThatHadNoRoomJoinsLater(t *testing.T) {
	c := moving(t, 3, 6, 3)
	full := c.nodes[5]
	room := false
	full.Disk.Inject(func(call Call) Fault {
		if !room && call.Op == "mkdir" && strings.Contains(call.Name, "g3-r") {
			return ENOSPC
		}
		return None
	})
	log := codec.TopicPartition{Topic: "u"}
	done := false
	c.any().Broker.CreateTopic(codec.CreateTopic{Topic: log.Topic, Partitions: 1, Replicas: 3}, func(_ codec.TopicDescription, err error) { done = err == nil })
	require.NoError(t, c.run(func() bool { return done }, time.Minute))
	c.logs = append(c.logs, log)
	var first, others []codec.NodeID
	for _, n := range c.nodes {
		if slices.ContainsFunc(c.atlas.newest().Topics["u"].Partitions[0].Replicas, func(r cluster.Replica) bool { return r.Node == n.name }) {
			first = append(first, n.name)
		} else {
			others = append(others, n.name)
		}
	}
	require.Contains(t, first, full.name)
	c.write(t, log)

	for _, a := range first[:2] {
		for _, b := range append(others, full.name) {
			c.net.Way(a, b).Cut, c.net.Way(b, a).Cut = true, true
		}
	}
	require.NoError(t, c.w.RunFor(10*time.Second))
	c.net.node(others[0]).Broker.ChangeReplicas(log, others, func(error) {})
	require.NoError(t, c.w.RunFor(10*time.Second))
	room = true
	require.NoError(t, c.w.RunFor(30*time.Second))
	c.net.Heal()
	require.NoError(t, c.settle(settleWithin))
	violations, err := c.judge(0)
	require.NoError(t, err)
	require.Empty(t, violations)
}

// A log that is acknowledged from the page cache moves, and power fails where it
// goes to, or comes from. What it may lose is what it acknowledged, not the log.
func TestALogWithoutFsyncMovesThroughAPowerCut(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := moving(t, seed, 3, 3)
			log := codec.TopicPartition{Topic: "os"}
			done := false
			c.any().Broker.CreateTopic(codec.CreateTopic{Topic: log.Topic, Partitions: 1, Replicas: 1, Settings: map[string]string{"durability": "os"}},
				func(_ codec.TopicDescription, err error) { require.NoError(t, err); done = true })
			require.NoError(t, c.run(func() bool { return done && c.leads(log) != nil }, time.Minute))
			c.logs = append(c.logs, log)
			from := c.leads(log)
			to := c.nodes[0]
			if to == from {
				to = c.nodes[1]
			}
			for range 10 {
				c.produce(log, 1, func() {})
			}
			require.NoError(t, c.w.RunFor(100*time.Millisecond))
			from.Broker.ChangeReplicas(log, []codec.NodeID{to.name}, func(err error) {})
			require.NoError(t, c.w.RunFor(c.upTo(60*time.Millisecond)))
			c.kill(to, Lost)
			c.revive(to)
			require.NoError(t, c.run(func() bool { return c.allStarted() && c.unchanging() }, time.Minute))
			c.write(t, log)
			require.NoError(t, c.broken)
		})
	}
}

// dropping is a link that loses some letters.
type dropping struct {
	actors.Link
	lost func(letter []byte) bool
}

func (l dropping) Send(to codec.NodeID, parts [][]byte) {
	if !l.lost(slices.Concat(parts...)) {
		l.Link.Send(to, parts)
	}
}

// A leader stands still while another takes the log to other nodes, and the change
// is taken back before that one can say that it is done. The first one wakes up with
// the members that are wanted again. It may not say so: it leads no more.
func TestALeaderThatSleptDoesNotFinishAChange(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { sleptThroughAChange(t, seed) })
	}
}

func sleptThroughAChange(t *testing.T, seed uint64) {
	w := New(seed, worldBegins)
	t.Cleanup(w.Close)
	c, err := newCluster(w, 5)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.close()) })
	deaf, unsaid := true, 0 // what is said of an end of a change is lost
	for _, n := range c.nodes {
		shape := n.Shape
		n.Shape = func(cfg *actors.Config) {
			shape(cfg)
			cfg.Ports.Link = dropping{cfg.Ports.Link, func(letter []byte) bool {
				if deaf && bytes.Contains(letter, []byte("finish_change")) {
					unsaid++
					return true
				}
				return false
			}}
		}
	}
	require.NoError(t, c.found())
	require.NoError(t, c.createTopic("t", 1, 3, nil))
	log := c.logs[0]
	c.write(t, log)
	first := slices.Clone(c.atlas.replicas()[c.group(log)])
	meta := c.metadataLeader()
	if slices.Contains(first, meta.name) {
		return // it would know without a letter
	}
	slept := c.leads(log)
	var other codec.NodeID
	for _, n := range c.nodes {
		if n != meta && !slices.Contains(first, n.name) {
			other = n.name
		}
	}
	change := func(nodes ...codec.NodeID) {
		told := false
		meta.Broker.ChangeReplicas(log, nodes, func(err error) { require.NoError(t, err); told = true })
		require.NoError(t, c.run(func() bool { return told }, time.Minute))
	}
	awake := slices.DeleteFunc(slices.Clone(first), func(n codec.NodeID) bool { return n == slept.name })

	slept.Life.Pause()
	for _, n := range append(slices.Clone(awake), other) {
		c.net.Way(slept.name, n).Cut, c.net.Way(n, slept.name).Cut = true, true
	}
	change(slept.name, awake[0], other)
	require.NoError(t, c.run(func() bool { return unsaid > 0 }, time.Minute))
	leads := c.leads(log).name // and does not hear that the change is taken back
	c.net.Way(meta.name, leads).Cut, c.net.Way(leads, meta.name).Cut = true, true
	change(first...)
	deaf = false
	slept.Life.Resume()
	require.NoError(t, c.w.RunFor(3*time.Second))
	c.net.Heal()
	require.NoError(t, c.run(c.unchanging, time.Minute))
	c.write(t, log)
	require.NoError(t, c.converge(log, time.Minute))
	require.NoError(t, c.inSync(log, time.Minute))
}

// group is that of a log.
func (c *Cluster) group(log codec.TopicPartition) codec.GroupID {
	return c.atlas.newest().Topics[log.Topic].Partitions[log.Partition].Group
}

// When a damaged replica is due to be replaced, all others are to leave; that is
// taken back. It is replaced then, without a restart.
func TestADamagedReplicaIsReplacedWhenOthersStayAgain(t *testing.T) {
	c := three(t, 8)
	log := c.logs[0]
	n, h := c.follower(t, log)
	was := c.replicaOn(n, log)
	require.NoError(t, n.Disk.FlipBit(c.segmentOf(t, n, log), 100, 3))
	_, err := h.Read(nil, 0, 1000)
	require.Equal(t, codec.NotLeader, codec.CodeOf(err))
	var others []codec.NodeID
	for _, one := range c.nodes {
		if one != n {
			others = append(others, one.name)
		}
	}
	move := func(nodes ...codec.NodeID) {
		told := false
		n.Broker.ChangeReplicas(log, nodes, func(err error) { require.NoError(t, err); told = true })
		require.NoError(t, c.run(func() bool { return told }, time.Minute))
	}
	c.net.Way(others[0], others[1]).Cut, c.net.Way(others[1], others[0]).Cut = true, true // the log has no majority
	require.NoError(t, c.w.RunFor(10*time.Second))
	move(others[0])
	require.NoError(t, c.w.RunFor(40*time.Second))
	move(n.name, others[0], others[1])
	c.net.Heal()
	require.NoError(t, c.run(func() bool { return c.replicaOn(n, log) != was && c.healed() }, 2*time.Minute))
	c.write(t, log)
	require.NoError(t, c.converge(log, time.Minute))
}
