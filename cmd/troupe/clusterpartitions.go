package main

import (
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// What status makes of what brokers say about partitions.

// partitions counts leaders and copies. Of each partition its leader knows most; of
// several, one has not heard yet that it leads no more. The word of others is taken for
// leaders that were not asked.
func (c *clusterStatus) partitions(first codec.NodeID, at map[codec.NodeID]int) {
	leads := c.leaders(at)
	var leaderless, lacking []string
	away := true // who is lacked does not answer
	for _, t := range c.said[first].topics {
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
			lead, ok := leads[place{t.Topic, p.Partition}]
			if !ok && c.unasked(p.Leader, at) {
				c.Nodes[at[p.Leader]].Leaders++
				continue
			}
			if !ok {
				leaderless = append(leaderless, fmt.Sprintf("%s/%d on %s", t.Topic, p.Partition, names(p.Replicas)))
				continue
			}
			c.Nodes[at[lead.Leader]].Leaders++
			if missing := without(lead.Replicas, c.answering(lead.InSync, at)); len(missing) > 0 {
				lacking = append(lacking, fmt.Sprintf("%s/%d lacks %s", t.Topic, p.Partition, names(missing)))
				away = away && !slices.ContainsFunc(missing, func(n codec.NodeID) bool { return !c.gone(n) })
			}
		}
	}
	c.Partitions.Leaderless, c.Partitions.UnderReplicated = len(leaderless), len(lacking)
	if len(leaderless) > 0 {
		c.trouble("%s no leader and nothing can be written or is found there: most of its copies have to be up; the first is %s", plural(len(leaderless), "partition has", "partitions have"), leaderless[0])
	}
	if len(lacking) > 0 {
		then := "they catch up by themselves when their broker is back"
		if !away {
			then = "copies on brokers that are there catch up by themselves; when they do not, /readyz and the log of their broker say why"
		}
		c.trouble("%s fewer copies up to date than there should be, and nothing is lost: %s; the first is %s", plural(len(lacking), "partition has", "partitions have"), then, lacking[0])
	}
}

// place is a partition.
type place struct {
	topic codec.Topic
	n     codec.Partition
}

// leaders are what leaders say of their partitions; it adds up what there is on disks.
func (c *clusterStatus) leaders(at map[codec.NodeID]int) map[place]codec.PartitionDescription {
	leads := map[place]codec.PartitionDescription{}
	for name, s := range c.said {
		i, ok := at[name]
		if !ok {
			continue
		}
		for _, t := range s.topics {
			for _, p := range t.Partitions {
				if slices.Contains(p.Replicas, name) {
					c.Nodes[i].Bytes += p.Bytes
				}
				here := place{t.Topic, p.Partition}
				if other, two := leads[here]; p.Leader == name && (!two || other.Epoch < p.Epoch) {
					leads[here] = p
				}
			}
		}
	}
	return leads
}

// unasked says whether a node is there, for all that is known, and could not be asked.
func (c *clusterStatus) unasked(n codec.NodeID, at map[codec.NodeID]int) bool {
	i, known := at[n]
	_, answers := c.said[n]
	return known && !answers && !c.gone(n) && c.Nodes[i].Address == ""
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
