package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// TestWhatStatusSays is the table of the sentences.
func TestWhatStatusSays(t *testing.T) {
	three := []codec.NodeID{"n1", "n2", "n3"}
	view := func(of codec.NodeID, lead codec.NodeID, change func([]codec.ClusterNode)) codec.ClusterView {
		v := codec.ClusterView{Cluster: codec.UUID{1}, Node: of, Controller: lead}
		for _, n := range three {
			v.Nodes = append(v.Nodes, codec.ClusterNode{Node: n, Address: string(n) + ":9650", Link: string(n) + ":9651", State: codec.NodeActive, Votes: true, Heard: true})
		}
		if change != nil {
			change(v.Nodes)
		}
		return v
	}
	topic := func(lead codec.NodeID, inSync []codec.NodeID, on ...codec.NodeID) []codec.TopicDescription {
		return []codec.TopicDescription{{Topic: "t", Partitions: []codec.PartitionDescription{{Leader: lead, Replicas: on, InSync: inSync, Bytes: 5}}}}
	}
	good := topic("n1", three, three...)
	all := func(lead codec.NodeID, topics []codec.TopicDescription, silent ...codec.NodeID) map[codec.NodeID]seen {
		said := map[codec.NodeID]seen{}
		for _, n := range without(three, silent) {
			said[n] = seen{view(n, lead, nil), topics}
		}
		return said
	}
	joining := all("n1", good, "n3")
	joining["n1"] = seen{view("n1", "n1", func(n []codec.ClusterNode) { n[2].State, n[2].Heard, n[2].Votes = codec.NodeJoining, false, false }), good}
	deaf := all("n1", good)
	deaf["n1"] = seen{view("n1", "n1", func(n []codec.ClusterNode) { n[2].Heard, n[2].Trouble = false, "a cut" }), good}
	deafer := maps.Clone(deaf)
	deafer["n2"] = seen{view("n2", "n1", func(n []codec.ClusterNode) { n[2].Heard, n[2].Trouble = false, "a cut" }), good}
	noAddress := all("n1", topic("n3", three, three...), "n3")
	noAddress["n1"] = seen{view("n1", "n1", func(n []codec.ClusterNode) { n[2].Address = "" }), topic("n3", three, three...)}
	alone := map[codec.NodeID]seen{"n1": {codec.ClusterView{Node: "n1", Controller: "n1", Nodes: []codec.ClusterNode{{Node: "n1", State: codec.NodeActive, Votes: true, Heard: true}}}, topic("n1", three[:1], "n1")}}
	leaves := all("n1", good, "n3")
	leaves["n1"] = seen{view("n1", "n1", func(n []codec.ClusterNode) { n[2].State = codec.NodeLeaving }), good}
	good[0].Partitions[0].Epoch = 2
	two := all("n1", good)
	two["n2"] = seen{view("n2", "n2", nil), topic("n2", three[:1], three...)}
	ignorant := all("n2", good)
	ignorant["n1"] = seen{view("n1", "", nil), good}
	for what, c := range map[string]struct {
		said   map[codec.NodeID]seen
		silent map[codec.NodeID]string
		wrong  bool
		says   []string
	}{
		"well":          {all("n1", good), nil, false, []string{"all is well: 3 brokers answer, 1 partition has its leader and its copies"}},
		"one is down":   {all("n1", good, "n3"), map[codec.NodeID]string{"n3": "nobody listens"}, true, []string{"broker n3 does not answer (nobody listens): start it again; if its disk is lost, see \"replacing a dead broker\"", "one more of n1, n2, n3 may not be lost", "they catch up by themselves when their broker is back; the first is t/0 lacks n3"}},
		"no majority":   {all("", good, "n2", "n3"), map[codec.NodeID]string{"n2": "x", "n3": "y"}, true, []string{"broker n2 does not answer", "broker n3 does not answer", "losing a majority", "nobody leads the metadata", "most of n1, n2, n3 have to be up"}},
		"leaderless":    {all("n1", topic("", nil, three...)), nil, true, []string{"1 partition has no leader and nothing can be written", "the first is t/0 on n1, n2, n3"}},
		"short":         {all("n1", topic("n1", three[:2], three...)), nil, true, []string{"1 partition has fewer copies up to date than there should be, and nothing is lost", "copies on brokers that are there catch up by themselves; when they do not, /readyz and the log", "t/0 lacks n3"}},
		"one is deaf":   {deaf, nil, true, []string{"n1 does not hear n3, which answers (a cut): look at the network between their links"}},
		"two are deaf":  {deafer, nil, true, []string{"n1, n2 do not hear n3, which answers (a cut): look at the network between their links, and at the log of n3"}},
		"no address":    {noAddress, nil, true, []string{"broker n3 does not say where clients reach it", "start it with --advertise HOST:PORT"}},
		"alone":         {alone, nil, false, []string{"all is well: 1 broker answers"}},
		"leaves, dead":  {leaves, map[codec.NodeID]string{"n3": "timeout"}, true, []string{"broker n3 is being removed", "one more of n1, n2, n3 may not be lost"}},
		"first is new":  {ignorant, nil, false, []string{"all is well: 3 brokers answer"}},
		"two who lead":  {two, nil, false, []string{"all is well: 3 brokers answer"}},
		"one copy":      {all("n1", topic("n1", three[:1], "n1")), nil, false, []string{"all is well", "1 topic has one copy of each record", "the first is t"}},
		"one joins":     {joining, nil, false, []string{"broker n3 was let in and has not come yet"}},
		"leads unasked": {all("n3", good, "n3"), map[codec.NodeID]string{"n3": "timeout"}, true, []string{"broker n3 does not answer (timeout)"}},
	} {
		silent := c.silent
		if silent == nil {
			silent = map[codec.NodeID]string{}
		}
		got := judge("n1", c.said, silent)
		require.Equal(t, c.wrong, got.wrong, "%s: %v", what, got.Says)
		text := strings.Join(got.Says, "\n")
		for _, s := range c.says {
			require.Contains(t, text, s, what)
		}
	}
	got := judge("n1", all("n1", good), map[codec.NodeID]string{})
	require.Equal(t, codec.NodeID("n1"), got.Controller)
	require.Equal(t, partitionsStatus{Total: 1}, got.Partitions)
	require.Equal(t, []int{1, 0, 0}, []int{got.Nodes[0].Leaders, got.Nodes[1].Leaders, got.Nodes[2].Leaders})
	require.Equal(t, int64(5), got.Nodes[1].Bytes)
}
