package main

import (
	"fmt"
	"maps"
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
	said       map[codec.NodeID]seen
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
	c := clusterStatus{Cluster: v.Cluster.String(), Controller: controller(said, first), Says: []string{}, silent: silent, said: said}
	at := map[codec.NodeID]int{}
	for _, n := range v.Nodes {
		s := nodeStatus{Node: n.Node, State: string(n.State), Address: n.Address, Link: n.Link, Rack: n.Rack, Votes: n.Votes}
		if _, answers := said[n.Node]; !answers && !n.Heard && silent[n.Node] == "" {
			silent[n.Node] = orUnknown(n.Trouble)
		}
		if c.gone(n.Node) && n.State == codec.NodeActive {
			s.State = "down"
		}
		if n.Votes {
			c.voters = append(c.voters, n.Node)
		}
		at[n.Node] = len(c.Nodes)
		c.Nodes = append(c.Nodes, s)
	}
	c.sayNodes()
	c.sayDeaf()
	c.partitions(first, at)
	if !c.wrong {
		c.Says = append(c.Says, fmt.Sprintf("all is well: %s, %s", plural(len(said), "broker answers", "brokers answer"), plural(c.Partitions.Total, "partition has its leader and its copies", "partitions have their leaders and their copies")))
	}
	c.sayHints()
	return c
}

// gone says whether a broker did not answer, though it was asked, or whoever was asked
// does not hear it either.
func (c *clusterStatus) gone(n codec.NodeID) bool { return c.silent[n] != "" }

// controller is who leads the metadata: whoever says so of itself knows best; of two, one
// has not heard yet that it does no more.
func controller(said map[codec.NodeID]seen, first codec.NodeID) codec.NodeID {
	lead := said[first].view.Controller
	if v := said[lead].view; lead != "" && (v.Node == "" || v.Controller == lead) {
		return lead // or it does not answer us, and may answer others
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if said[name].view.Controller == name {
			return name
		}
	}
	return ""
}

func (c *clusterStatus) trouble(format string, args ...any) {
	c.wrong = true
	c.Says = append(c.Says, fmt.Sprintf(format, args...))
}

// sayNodes says who does not answer, and what that means for the metadata.
func (c *clusterStatus) sayNodes() {
	lost := 0
	for _, v := range c.voters {
		if c.gone(v) {
			lost++
		}
	}
	page := "if its disk is lost, see \"replacing a dead broker\" in OPERATIONS.md"
	if 2*lost >= len(c.voters) {
		page = "if its disk is lost, see \"losing a majority\" in OPERATIONS.md"
	}
	for _, n := range c.Nodes {
		switch n.State {
		case "down":
			c.trouble("broker %s does not answer (%s): start it again; %s", n.Node, c.silent[n.Node], page)
		case string(codec.NodeJoining):
			c.Says = append(c.Says, fmt.Sprintf("broker %s was let in and has not come yet: start it, or remove it with troupe cluster remove %s", n.Node, n.Node))
		case string(codec.NodeLeaving):
			c.Says = append(c.Says, fmt.Sprintf("broker %s is being removed", n.Node))
		}
		if n.Address == "" && n.State == string(codec.NodeActive) && len(c.Nodes) > 1 {
			c.sayNowhere(n)
		}
	}
	switch {
	case c.Controller == "":
		c.trouble("nobody leads the metadata, so topics cannot be changed and leaders are found late: most of %s have to be up", names(c.voters))
	case lost > 0 && 2*(len(c.voters)-lost-1) <= len(c.voters):
		c.trouble("one more of %s may not be lost: then nobody could lead the metadata", names(c.voters))
	}
}

// sayNowhere says of a broker of several why clients are not sent to it.
func (c *clusterStatus) sayNowhere(n nodeStatus) {
	switch _, answers := c.said[n.Node]; {
	case n.Link == "": // it has not registered
		c.trouble("broker %s is about to start", n.Node)
	case answers:
		c.trouble("broker %s does not say where clients reach it, so they cannot use what it leads: start it with --advertise HOST:PORT", n.Node)
	default:
		c.trouble("broker %s does not say where clients reach it, so they cannot use what it leads, and it was not asked: start it with --advertise HOST:PORT", n.Node)
	}
}

// sayDeaf says which of those that answer do not hear each other.
func (c *clusterStatus) sayDeaf() {
	for _, n := range c.Nodes {
		if _, answers := c.said[n.Node]; !answers {
			continue
		}
		var deaf []codec.NodeID
		why := ""
		for _, name := range slices.Sorted(maps.Keys(c.said)) {
			for _, other := range c.said[name].view.Nodes {
				if other.Node == n.Node && other.Node != name && !other.Heard {
					deaf, why = append(deaf, name), orUnknown(other.Trouble)
				}
			}
		}
		switch {
		case len(deaf) == 1:
			c.trouble("%s does not hear %s, which answers (%s): look at the network between their links, and at the log of both", deaf[0], n.Node, why)
		case len(deaf) > 1:
			c.trouble("%s do not hear %s, which answers (%s): look at the network between their links, and at the log of %s", names(deaf), n.Node, why, n.Node)
		}
	}
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
