package world

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// growing is a cluster of one node that others may join.
func growing(t *testing.T, seed uint64) *Cluster {
	w := New(seed, worldBegins)
	t.Cleanup(w.Close)
	c, err := newCluster(w, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.close()) })
	require.NoError(t, c.found())
	return c
}

// joined has a node join, and waits until it has.
func (c *Cluster) joined(t *testing.T, name codec.NodeID) *newcomer {
	j, err := c.join(name, "")
	require.NoError(t, err)
	require.NoError(t, c.run(func() bool { return j.node.started || j.node.failure != nil || j.refused != nil }, time.Minute))
	require.NoError(t, j.node.failure)
	require.NoError(t, j.refused)
	return j
}

// A node joins a cluster of one: it learns the metadata, registers, and topics may be
// placed there. It starts again as what it is.
func TestNodesJoin(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := growing(t, seed)
			require.NoError(t, c.createTopic("before", 2, 1, nil))
			a, b := c.joined(t, "n2"), c.joined(t, "n3")
			s := c.atlas.newest()
			require.Len(t, s.Metadata, 3)
			require.Equal(t, "link of n2", s.Nodes["n2"].Link)
			require.Equal(t, s.MetadataOn("n3"), b.replica)
			require.NoError(t, c.createTopic("t", 3, 3, nil))
			for _, log := range c.logs {
				c.write(t, log)
			}
			for _, n := range c.nodes {
				require.NoError(t, n.Broker.Ready(), "%s is ready, whoever leads the metadata", n.name)
			}
			c.kill(a.node, c.mode(""))
			c.revive(a.node)
			require.NoError(t, c.run(c.allStarted, time.Minute))
			require.NoError(t, c.settle(settleWithin))
		})
	}
}

// voters are the replicas of the metadata that vote, as every node that is up has it
// decided; nil while they differ.
func (c *Cluster) voters() (all []codec.NodeID) {
	for i, n := range c.nodes {
		if !n.Up() || n.Broker.Metadata() == nil {
			continue
		}
		var list []codec.NodeID
		for _, r := range n.Broker.Metadata().Metadata {
			if !r.Learner {
				list = append(list, r.Node)
			}
		}
		if i > 0 && all != nil && !slices.Equal(all, list) {
			return nil
		}
		all = list
	}
	return all
}

// The metadata are voted on by one, by three and by five brokers, as they come; and
// with five of them two may be away.
func TestVotersOfTheMetadataGrow(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := growing(t, seed)
			var names []codec.NodeID
			for i, want := range []int{1, 3, 3, 5, 5} {
				names = append(names, c.joined(t, codec.NodeID(fmt.Sprintf("n%d", i+2))).node.name)
				require.NoError(t, c.run(func() bool { return len(c.voters()) == want }, time.Minute), "%v", c.voters())
				require.NoError(t, c.w.RunFor(20*time.Second))
				require.Len(t, c.voters(), want)
			}
			require.NoError(t, c.createTopic("t", 3, 0, nil))
			require.Len(t, c.atlas.newest().Topics["t"].Partitions[0].Replicas, 3)
			lead := c.metadataLeader()
			c.kill(lead, Torn)
			c.kill(c.net.node("n5"), Torn)
			require.NoError(t, c.run(func() bool { return c.metadataLeader() != nil }, time.Minute))
			require.NoError(t, c.createTopic("u", 1, 1, nil))
			require.NoError(t, c.settle(settleWithin))
		})
	}
}

// remove has a node leave the cluster, and waits until it has.
func (c *Cluster) remove(t *testing.T, name codec.NodeID) {
	told := false
	c.anyBut(name).Broker.Remove(name, func(err error) { require.NoError(t, err); told = true })
	gone := func() bool { _, there := c.atlas.newest().Nodes[name]; return told && !there }
	require.NoError(t, c.run(gone, time.Minute))
}

// A node that is to vote dies before it does: it holds up nobody, neither those that
// vote in its place nor whoever joins or goes.
func TestANodeThatDiesBeforeItVotesHoldsUpNobody(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := growing(t, seed)
			a, b := c.joined(t, "n2"), c.joined(t, "n3")
			// It dies just before, while, or just after it gets its vote.
			require.NoError(t, c.w.RunFor(8*time.Second+c.upTo(4*time.Second)))
			c.kill(b.node, c.mode(""))
			c.joined(t, "n4")
			require.NoError(t, c.createTopic("t", 2, 0, nil))
			require.NoError(t, c.run(func() bool { return len(c.voters()) == 3 }, 6*time.Minute), "%v", c.voters())
			require.NoError(t, c.w.RunFor(time.Minute))
			c.kill(a.node, Lost)
			c.revive(a.node)
			c.revive(b.node)
			require.NoError(t, c.settle(settleWithin))
		})
	}
}

// Nodes go: one that votes, the one that leads, one that never came; and a name comes
// back on another directory, as somebody else.
func TestNodesAreRemoved(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := growing(t, seed)
			for i := range 3 {
				c.joined(t, codec.NodeID(fmt.Sprintf("n%d", i+2)))
			}
			require.NoError(t, c.run(func() bool { return len(c.voters()) == 3 }, time.Minute))
			lead := c.metadataLeader()
			c.remove(t, lead.name)
			require.NoError(t, c.run(func() bool { return c.metadataLeader() != nil && c.metadataLeader() != lead }, time.Minute))
			require.NoError(t, c.run(func() bool { return lead.failure != nil }, time.Minute), "it is told")
			require.ErrorContains(t, lead.failure, "removed")
			c.dismiss(lead)

			silent := c.nodes[len(c.nodes)-1]
			c.kill(silent, Lost)
			c.remove(t, silent.name)
			c.dismiss(silent)
			again := c.joined(t, silent.name)
			require.NoError(t, c.createTopic("t", 2, 0, nil))
			require.NoError(t, c.run(func() bool { return len(c.voters()) == 3 }, time.Minute), "%v", c.voters())
			require.NotContains(t, c.voters(), lead.name)
			require.Equal(t, again.replica, c.atlas.newest().MetadataOn(again.node.name))
			require.NoError(t, c.settle(settleWithin))
		})
	}
}

// A node was away while all others were replaced, each under its old name. What it knows
// of them is of other disks; it learns of those that came.
func TestANodeComesBackAmongNamesakes(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := growing(t, seed)
			for i := range 4 {
				c.joined(t, codec.NodeID(fmt.Sprintf("n%d", i+2)))
			}
			require.NoError(t, c.run(func() bool { return len(c.voters()) == 5 }, time.Minute))
			require.NoError(t, c.w.RunFor(20*time.Second))
			away := c.nodes[0]
			for away == c.metadataLeader() {
				away = c.nodes[1]
			}
			c.kill(away, Kept)
			for _, n := range slices.Clone(c.nodes) {
				if n == away {
					continue
				}
				c.kill(n, Kept)
				require.NoError(t, c.run(func() bool { return c.metadataLeader() != nil }, time.Minute))
				require.NoError(t, c.w.RunFor(time.Second))
				c.remove(t, n.name)
				c.dismiss(n)
				c.joined(t, n.name)
				require.NoError(t, c.w.RunFor(40*time.Second)) // votes go on
			}
			c.revive(away)
			require.NoError(t, c.run(c.allStarted, time.Minute))
			require.NoError(t, c.settle(settleWithin))
		})
	}
}

// A command is on its way to a leader of the metadata that dies, before it decides it
// or behind. Whoever asked has an answer as soon as another leads, the command is
// carried out once, and nobody is told that its outcome is not known.
func TestACommandOutlivesTheLeaderThatItWasAskedOf(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := three(t, seed)
			require.NoError(t, c.run(func() bool { return c.metadataLeader() != nil }, time.Minute))
			lead := c.metadataLeader()
			var got error
			done, began := false, c.w.Elapsed()
			c.anyBut(lead.name).Broker.CreateTopic(codec.CreateTopic{Topic: "once", Partitions: 1, Replicas: 1}, func(_ codec.TopicDescription, err error) { got, done = err, true })
			require.NoError(t, c.w.RunFor(c.upTo(8*time.Millisecond)))
			c.kill(lead, Torn)
			require.NoError(t, c.run(func() bool { return done }, time.Minute))
			require.NoError(t, got)
			require.Less(t, c.w.Elapsed()-began, 2*time.Second)
		})
	}
}

// A node that joins dies at each call of its disk, and power fails. It comes back as who
// it was to be, and joins; nobody else is held up.
func TestANodeThatJoinsDiesAtEachStep(t *testing.T) {
	steps := 0
	for at := 1; at <= 60; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			c := growing(t, uint64(at))
			j, err := c.join("n2", "")
			require.NoError(t, err)
			left, died := at, false
			disk := j.node.Disk
			disk.OnCall(func(Call) {
				if left--; left == 0 {
					died = true
					disk.OnCall(nil)
					c.kill(j.node, []Mode{Torn, Lost, Zeroed, Kept}[at%4])
					c.w.After(c.upTo(2*time.Second), "nemesis", func() { c.revive(j.node) })
				}
			})
			require.NoError(t, c.run(func() bool { return j.node.started && j.node.Up() || j.node.failure != nil && j.node.Up() }, time.Minute))
			require.NoError(t, j.node.failure)
			require.NoError(t, c.createTopic("t", 1, 1, nil))
			require.Len(t, c.atlas.newest().Metadata, 2)
			require.NoError(t, c.settle(settleWithin))
			if died {
				steps++
			}
		})
	}
	require.Greater(t, steps, 20)
}

// Founders die at each call of their disks while they found: there is one cluster, of
// all of them.
func TestFoundersThatDieWhileTheyFound(t *testing.T) {
	for at := 1; at <= 40; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			w := New(uint64(at), worldBegins)
			t.Cleanup(w.Close)
			c, err := newCluster(w, 3)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.close()) })
			for _, n := range c.nodes {
				n.Start()
			}
			for i, n := range c.nodes[:1+at%3] {
				left, disk := at+i, n.Disk
				disk.OnCall(func(Call) {
					if left--; left == 0 {
						disk.OnCall(nil)
						c.kill(n, c.mode(""))
						c.w.After(c.upTo(2*time.Second), "nemesis", func() { c.revive(n) })
					}
				})
			}
			require.NoError(t, c.run(c.allStarted, time.Minute))
			c.founded = true
			require.NoError(t, c.createTopic("t", 1, 3, nil))
			require.NoError(t, c.settle(settleWithin))
			require.Len(t, c.voters(), 3)
		})
	}
}

// A name that is taken is refused, whoever asks, and so is a data directory that is
// another's; the message says what to do. Nothing has changed then.
func TestATakenNameIsRefused(t *testing.T) {
	c := growing(t, 1)
	a := c.joined(t, "n2")
	admit := func(by *Node, r cluster.AdmitNode) (id codec.ReplicaID, got error) {
		done := false
		by.Broker.Admit(r, func(one codec.ReplicaID, err error) { id, got, done = one, err, true })
		require.NoError(t, c.run(func() bool { return done }, time.Minute))
		return id, got
	}
	for _, by := range c.nodes {
		id, err := admit(by, cluster.AdmitNode{Node: "n2", Disk: a.disk})
		require.NoError(t, err)
		require.Equal(t, a.replica, id)
		for says, r := range map[string]cluster.AdmitNode{
			"taken":            {Node: "n2", Disk: codec.UUID{7}},
			"is taken":         {Node: "n1", Disk: codec.UUID{7}},
			"cannot be copied": {Node: "n3", Disk: a.disk},
		} {
			_, err := admit(by, r)
			require.Equal(t, codec.Denied, codec.CodeOf(err))
			require.ErrorContains(t, err, says)
		}
	}
	require.Len(t, c.atlas.newest().Nodes, 2)
}

// Founders that do not vote, for there would be an even number, or more than five, are
// members like any other.
func TestFoundersThatLearn(t *testing.T) {
	for _, n := range []int{2, 4, 6} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := moving(t, uint64(n), n, 2)
			last := c.nodes[n-1]
			require.NotContains(t, c.voters(), last.name)
			c.kill(last, Torn)
			require.NoError(t, c.createTopic("u", 1, 1, nil))
			c.revive(last)
			require.NoError(t, c.settle(settleWithin))
		})
	}
}

// The metadata are written down behind every command, and a node dies while the voters
// change, at each call of its disk. A snapshot never knows more than the configuration
// beside it: what that lacks would be missing for ever.
func TestASnapshotIsNotAheadOfItsConfiguration(t *testing.T) {
	for at := range 60 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			w := New(uint64(at), worldBegins)
			t.Cleanup(w.Close)
			c, err := newCluster(w, 1)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.close()) })
			c.every = 1
			require.NoError(t, c.found())
			require.NoError(t, c.createTopic("t", 1, 1, nil))
			c.joined(t, "n2")
			c.joined(t, "n3")
			lead := c.nodes[0]
			require.NoError(t, c.run(func() bool { return len(c.voters()) == 3 }, time.Minute))
			left, disk := 1+at/2, lead.Disk
			if at%2 == 1 {
				disk = c.nodes[1].Disk
			}
			disk.OnCall(func(Call) {
				if left--; left == 0 {
					n := c.nodes[at%2]
					disk.OnCall(nil)
					c.kill(n, Lost)
					c.w.After(c.upTo(2*time.Second), "nemesis", func() { c.revive(n) })
				}
			})
			require.NoError(t, c.w.RunFor(10*time.Second))
			require.NoError(t, c.settle(settleWithin))
		})
	}
}
