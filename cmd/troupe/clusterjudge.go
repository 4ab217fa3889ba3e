package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// What `troupe cluster status` makes of what the brokers say: figures, and sentences
// for somebody who was woken up by it.

// seen is what one broker said.
type seen struct {
	view   codec.ClusterView
	topics []codec.TopicDescription
}

// clusterStatus is the cluster as JSON shows it.
type clusterStatus struct {
	Cluster    string           `json:"cluster"`
	Controller codec.NodeID     `json:"controller"`
	Nodes      []nodeStatus     `json:"nodes"`
	Partitions partitionsStatus `json:"partitions"`
	Says       []string         `json:"says"`
	wrong      bool             // a person has to do something
	single     []codec.Topic    // topics with one copy
	voters     []codec.NodeID   // of the metadata
	silent     map[codec.NodeID]string
}

type nodeStatus struct {
	Node     codec.NodeID `json:"node"`
	State    string       `json:"state"` // active, joining, leaving or down
	Address  string       `json:"address"`
	Link     string       `json:"link"`
	Rack     string       `json:"rack"`
	Votes    bool         `json:"votes"`
	Leaders  int          `json:"leaders"`
	Replicas int          `json:"replicas"`
	Bytes    int64        `json:"bytes"`
}

type partitionsStatus struct {
	Total           int `json:"total"`
	Leaderless      int `json:"leaderless"`
	UnderReplicated int `json:"under_replicated"`
}

// judge puts together what brokers said; first is who was asked first, and answered.
// silent are those that did not answer, and why.
func judge(first codec.NodeID, said map[codec.NodeID]seen, silent map[codec.NodeID]string) clusterStatus {
	v := said[first].view
	c := clusterStatus{Cluster: v.Cluster.String(), Controller: controller(said, first), Says: []string{}, silent: silent}
	at := map[codec.NodeID]int{}
	for _, n := range v.Nodes {
		s := nodeStatus{Node: n.Node, State: string(n.State), Address: n.Address, Link: n.Link, Rack: n.Rack, Votes: n.Votes}
		if _, answers := said[n.Node]; !answers && (silent[n.Node] != "" || !n.Heard) && n.State == codec.NodeActive {
			s.State = "down"
			if silent[n.Node] == "" {
				silent[n.Node] = n.Trouble
			}
		}
		if n.Votes {
			c.voters = append(c.voters, n.Node)
		}
		at[n.Node] = len(c.Nodes)
		c.Nodes = append(c.Nodes, s)
	}
	c.sayNodes()
	c.partitions(first, said, at)
	if !c.wrong {
		c.Says = append(c.Says, fmt.Sprintf("all is well: %s, %s", plural(len(c.Nodes), "broker answers", "brokers answer"), plural(c.Partitions.Total, "partition has its leader and its copies", "partitions have their leaders and their copies")))
	}
	c.sayHints()
	return c
}

// controller is who leads the metadata: whoever says so of itself knows best.
func controller(said map[codec.NodeID]seen, first codec.NodeID) codec.NodeID {
	for name, s := range said {
		if s.view.Controller == name {
			return name
		}
	}
	if lead := said[first].view.Controller; said[lead].view.Node == "" {
		return lead // it does not answer us, and may answer others
	}
	return ""
}

func (c *clusterStatus) trouble(format string, args ...any) {
	c.wrong = true
	c.Says = append(c.Says, fmt.Sprintf(format, args...))
}

// sayNodes says who does not answer, and what that means for the metadata.
func (c *clusterStatus) sayNodes() {
	down := []codec.NodeID{}
	for _, n := range c.Nodes {
		switch n.State {
		case "down":
			down = append(down, n.Node)
			c.trouble("broker %s does not answer (%s): start it again; if its disk is lost, see \"replacing a dead broker\" in OPERATIONS.md", n.Node, orUnknown(c.silent[n.Node]))
		case string(codec.NodeJoining):
			c.Says = append(c.Says, fmt.Sprintf("broker %s was let in and has not come yet: start it, or remove it with troupe cluster remove %s", n.Node, n.Node))
		case string(codec.NodeLeaving):
			c.Says = append(c.Says, fmt.Sprintf("broker %s is being removed", n.Node))
		}
	}
	lost := 0
	for _, v := range c.voters {
		if slices.Contains(down, v) {
			lost++
		}
	}
	switch {
	case c.Controller == "":
		c.trouble("nobody leads the metadata, so topics cannot be changed and leaders are found late: most of %s have to be up", names(c.voters))
	case lost > 0 && 2*(len(c.voters)-lost-1) <= len(c.voters):
		c.trouble("one more of %s may not be lost: then nobody could lead the metadata", names(c.voters))
	}
}

// partitions counts leaders and copies. Of each partition its leader knows most.
func (c *clusterStatus) partitions(first codec.NodeID, said map[codec.NodeID]seen, at map[codec.NodeID]int) {
	type key struct {
		topic codec.Topic
		n     codec.Partition
	}
	leads := map[key]codec.PartitionDescription{}
	for name, s := range said {
		for _, t := range s.topics {
			for _, p := range t.Partitions {
				if i, ok := at[name]; ok && slices.Contains(p.Replicas, name) {
					c.Nodes[i].Bytes += p.Bytes
				}
				if p.Leader == name {
					leads[key{t.Topic, p.Partition}] = p
				}
			}
		}
	}
	var leaderless, lacking []string
	for _, t := range said[first].topics {
		for _, p := range t.Partitions {
			c.Partitions.Total++
			for _, r := range p.Replicas {
				if i, ok := at[r]; ok {
					c.Nodes[i].Replicas++
				}
			}
			if len(p.Replicas) == 1 && p.Partition == 0 {
				c.single = append(c.single, t.Topic)
			}
			lead, ok := leads[key{t.Topic, p.Partition}]
			if !ok {
				leaderless = append(leaderless, fmt.Sprintf("%s/%d on %s", t.Topic, p.Partition, names(p.Replicas)))
				continue
			}
			c.Nodes[at[lead.Leader]].Leaders++
			if missing := without(lead.Replicas, c.answering(lead.InSync, at)); len(missing) > 0 {
				lacking = append(lacking, fmt.Sprintf("%s/%d lacks %s", t.Topic, p.Partition, names(missing)))
			}
		}
	}
	c.Partitions.Leaderless, c.Partitions.UnderReplicated = len(leaderless), len(lacking)
	if len(leaderless) > 0 {
		c.trouble("%s no leader and nothing can be written or is found there: most of its copies have to be up; the first is %s", plural(len(leaderless), "partition has", "partitions have"), leaderless[0])
	}
	if len(lacking) > 0 {
		c.trouble("%s fewer copies up to date than there should be, and nothing is lost: they catch up by themselves when their broker is back; the first is %s", plural(len(lacking), "partition has", "partitions have"), lacking[0])
	}
}

// answering are those of some nodes that are not down: a leader takes one that has just
// died for a copy for a while yet.
func (c *clusterStatus) answering(some []codec.NodeID, at map[codec.NodeID]int) (up []codec.NodeID) {
	for _, n := range some {
		if i, ok := at[n]; ok && c.Nodes[i].State != "down" {
			up = append(up, n)
		}
	}
	return up
}

// sayHints says what is not wrong, and should be known.
func (c *clusterStatus) sayHints() {
	if n := len(c.single); n > 0 && len(c.Nodes) > 1 {
		c.Says = append(c.Says, fmt.Sprintf("%s one copy of each record, and none when its broker is lost; the first is %s", plural(n, "topic has", "topics have"), c.single[0]))
	}
	if len(c.Nodes) == 2 {
		c.Says = append(c.Says, "with two brokers neither can go on without the other: a third one, even a small one, changes that")
	}
}

func without(all, some []codec.NodeID) (rest []codec.NodeID) {
	for _, n := range all {
		if !slices.Contains(some, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

func names(all []codec.NodeID) string {
	text := make([]string, len(all))
	for i, n := range all {
		text[i] = string(n)
	}
	return strings.Join(text, ", ")
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func orUnknown(why string) string {
	if why == "" {
		return "and nobody knows why"
	}
	return why
}
