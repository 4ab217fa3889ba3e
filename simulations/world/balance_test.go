package world

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// A broker that led comes back, and leads again what it is the first replica of: after
// a while in which all was well, and not at once.
func TestLeadershipGoesBack(t *testing.T) {
	c := moving(t, 5, 3, 3)
	log := c.logs[0]
	first := c.net.node(c.atlas.newest().Topics["t"].Partitions[0].Replicas[0].Node)
	require.NoError(t, c.run(func() bool { return c.leads(log) == first }, time.Minute))
	c.kill(first, Torn)
	require.NoError(t, c.run(func() bool { return c.leads(log) != nil && c.leads(log) != first }, time.Minute))
	other := c.leads(log)
	require.NoError(t, c.w.RunFor(30*time.Second))
	require.Equal(t, other, c.leads(log))
	c.revive(first)
	require.NoError(t, c.run(c.allStarted, time.Minute))
	back := c.w.Elapsed()
	require.NoError(t, c.run(func() bool { return c.leads(log) == first }, time.Minute))
	require.Greater(t, c.w.Elapsed()-back, 8*time.Second)
	c.write(t, log)
}

// How long a broker has been fit to lead again is for each leader to find out anew: one
// that has just come to lead gives nothing back at once.
func TestANewLeaderGivesNothingBackAtOnce(t *testing.T) {
	c := moving(t, 5, 3, 3)
	log := c.logs[0]
	replicas := c.atlas.newest().Topics["t"].Partitions[0].Replicas
	first, b, other := c.net.node(replicas[0].Node), c.net.node(replicas[1].Node), c.net.node(replicas[2].Node)
	require.NoError(t, c.run(func() bool { return c.leads(log) == first }, time.Minute))
	hand := func(to *Node) {
		_, h := c.leader(log)
		h.Transfer(to.name)
		require.NoError(t, c.run(func() bool { return c.leads(log) == to }, time.Second))
	}
	hand(b)
	require.NoError(t, c.w.RunFor(4*time.Second))
	hand(other)
	require.NoError(t, c.w.RunFor(8*time.Second))
	require.Equal(t, other.name, c.leads(log).name)
	hand(b) // which had begun to look at the first 12 s ago
	require.NoError(t, c.w.RunFor(6*time.Second))
	require.Equal(t, b.name, c.leads(log).name)
	require.NoError(t, c.run(func() bool { return c.leads(log) == first }, time.Minute))
}

// Leadership does not go back to a broker that ended just before.
func TestLeadershipDoesNotGoBackToTheDead(t *testing.T) {
	for at := 8 * time.Second; at <= 10*time.Second; at += 500 * time.Millisecond {
		t.Run(at.String(), func(t *testing.T) {
			c := moving(t, 5, 3, 3)
			log := c.logs[0]
			replicas := c.atlas.newest().Topics["t"].Partitions[0].Replicas
			first, b := c.net.node(replicas[0].Node), c.net.node(replicas[1].Node)
			require.NoError(t, c.run(func() bool { return c.leads(log) == first }, time.Minute))
			_, h := c.leader(log)
			h.Transfer(b.name)
			require.NoError(t, c.run(func() bool { return c.leads(log) == b }, time.Second))
			require.NoError(t, c.w.RunFor(at))
			require.Equal(t, b.name, c.leads(log).name)
			c.kill(first, Kept)
			was := c.seen[actors.SeenBalanced]
			require.NoError(t, c.w.RunFor(4*time.Second))
			require.Equal(t, was, c.seen[actors.SeenBalanced])
		})
	}
}

// Of three brokers one does not answer: what needs two replicas is placed on the others,
// and a number of replicas that goes down takes it first. What needs three has all.
func TestNothingIsPlacedOnWhoIsSilent(t *testing.T) {
	c := moving(t, 6, 3, 3)
	require.NoError(t, c.run(func() bool { return c.metadataLeader() != nil }, time.Minute))
	silent := c.nodes[slices.IndexFunc(c.nodes, func(n *Node) bool { return n != c.metadataLeader() })]
	c.kill(silent, Kept)
	require.NoError(t, c.w.RunFor(10*time.Second))
	c.logs = nil
	require.NoError(t, c.createTopic("two", 6, 2, nil))
	require.NoError(t, c.createTopic("three", 1, 3, nil))
	told := false
	c.anyBut(silent.name).Broker.AlterTopic(codec.AlterTopic{Topic: "t", Replicas: 2}, func(_ codec.TopicDescription, err error) { require.NoError(t, err); told = true })
	require.NoError(t, c.run(func() bool { return told && c.unchanging() }, time.Minute))
	s := c.atlas.newest()
	for _, topic := range []codec.Topic{"two", "t"} {
		for _, p := range s.Topics[topic].Partitions {
			for _, r := range p.Staying() {
				require.NotEqual(t, silent.name, r.Node, "%s", topic)
			}
		}
	}
	require.Len(t, s.Topics["three"].Partitions[0].Replicas, 3)
	c.revive(silent)
	require.NoError(t, c.settle(settleWithin))
}
