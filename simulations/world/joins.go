package world

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// newcomer is a node that joins the cluster: what it was told when it was let in.
type newcomer struct {
	node     *Node
	disk     codec.UUID
	replica  codec.ReplicaID // of the metadata; 0 before it is let in
	came     bool            // it has started, so that its directory must be there from now on
	asking   bool
	refused  error
	rackName string
}

// join makes a node that asks to be let in, and starts when it is. It asks again
// until it has an answer, as a person does, or a script.
func (c *Cluster) join(name codec.NodeID, rack string) (*newcomer, error) {
	j := &newcomer{rackName: rack}
	for i := range j.disk {
		j.disk[i] = byte(c.chance.IntN(256))
	}
	var err error
	j.node, err = c.node(name, func(n *Node, cfg *actors.Config) {
		cfg.Joining = &actors.Joining{Cluster: c.founding.Cluster, Replica: j.replica}
		cfg.Disk, cfg.Rack, cfg.Link = j.disk, j.rackName, "link of "+string(name)
		cfg.Member = j.came && !n.forgetful
	})
	if err != nil {
		return nil, err
	}
	j.node.held = true
	j.node.told = func(err error) { j.came = j.came || err == nil }
	c.nodes = append(c.nodes, j.node)
	c.ask(j)
	return j, nil
}

// ask has any broker let a newcomer in.
func (c *Cluster) ask(j *newcomer) {
	again := func() { c.w.After(100*time.Millisecond+c.upTo(time.Second), "newcomer", func() { c.ask(j) }) }
	n := c.anyButNew()
	if n == nil {
		again()
		return
	}
	life, over := n.Life, false
	life.OnKill(func() { // its answer is lost with its process
		if !over {
			over = true
			again()
		}
	})
	paid := c.debts.owe(n, fmt.Sprintf("%s is to be let in", j.node.name))
	n.Broker.Admit(cluster.AdmitNode{Node: j.node.name, Disk: j.disk, Link: "link of " + string(j.node.name), Rack: j.rackName}, func(id codec.ReplicaID, err error) {
		if !paid() || over {
			return
		}
		over = true
		c.w.Note("newcomer", fmt.Sprintf("%s is let in as %d: %s", j.node.name, id, codec.CodeOf(err)), 0)
		switch {
		case codec.CodeOf(err) == codec.Denied:
			j.refused = err
		case err != nil:
			again()
		case j.replica != 0 && j.replica != id:
			c.fail(fmt.Errorf("%s was let in twice, as %d and %d", j.node.name, j.replica, id))
		default:
			j.replica, j.node.held = id, false
			c.revive(j.node)
		}
	})
}

// anyButNew is a node that has started.
func (c *Cluster) anyButNew() *Node {
	for _, n := range c.shuffled() {
		if n.Up() && n.started {
			return n
		}
	}
	return nil
}

// dismiss takes a node that was removed off the list: it is nobody's any more.
func (c *Cluster) dismiss(n *Node) {
	c.kill(n, Kept)
	c.nodes = slices.DeleteFunc(c.nodes, func(o *Node) bool { return o == n })
	c.net.nodes = slices.DeleteFunc(c.net.nodes, func(o *Node) bool { return o == n })
	c.dismissed = append(c.dismissed, n)
}
