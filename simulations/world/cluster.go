package world

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// Cluster is some nodes that were founded together, and topics on them.
type Cluster struct {
	w         *World
	net       *Net
	nodes     []*Node
	dismissed []*Node // removed from the cluster, for good
	retiring  []*Node // on their way to that
	joins     int     // nodes that were to join
	chance    *rand.Rand
	logs      []codec.TopicPartition
	story     *story
	atlas     atlas // of damaged disks
	calm      bool  // no more faults
	broken    error // what no history shows

	replicas int // that topics are made with

	every    codec.Index // commands between snapshots of the metadata
	founding actors.Founding
	founded  bool
	kills    int
	struck   map[string]int // faults, by verb

	seen      map[actors.Seen]int
	faithfuls []*faithful
	ids       map[int64]bool // of producers, given
	repeats   int            // batches sent again
	debts     debts          // answers that brokers owe
	claims    []check.Claim
	moments   int64
	undecided int // searches for an order of claims or appends that took too long
	truths    truths
	raw       map[codec.TopicPartition]map[codec.Offset]rawBatch // as some replica has it
}

// newCluster makes n nodes named n1, n2 and so on, none of them started.
func newCluster(w *World, n int) (*Cluster, error) {
	c := &Cluster{w: w, net: w.Net(), chance: w.Rand("cluster"), story: newStory(w, "story"), struck: map[string]int{}, ids: map[int64]bool{}, seen: map[actors.Seen]int{},
		raw: map[codec.TopicPartition]map[codec.Offset]rawBatch{}, truths: newTruths()}
	c.atlas.c, c.debts.c = c, c
	c.founding.Cluster = codec.UUID{0: 0xc1, 15: 1}
	c.every = []codec.Index{5, 20, 100, 0}[w.Rand("knobs").IntN(4)]
	c.net.broken = c.fail
	for i := range n {
		node, err := c.node(codec.NodeID(fmt.Sprintf("n%d", i+1)), func(node *Node, cfg *actors.Config) {
			cfg.Founding, cfg.Member = &c.founding, c.founded && !node.forgetful
		})
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.founding.Nodes = append(c.founding.Nodes, node.name)
		c.nodes = append(c.nodes, node)
	}
	return c, nil
}

// node makes a node of the cluster; origin says how its data directory begins.
func (c *Cluster) node(name codec.NodeID, origin func(*Node, *actors.Config)) (*Node, error) {
	lives := 0
	for _, n := range c.dismissed {
		lives += n.lives // no two lives have one name
	}
	node, err := c.w.Node(name)
	if err != nil {
		return nil, err
	}
	node.lives = lives
	node.Shape = func(cfg *actors.Config) {
		origin(node, cfg)
		cfg.Ports.SnapshotEvery = c.every
		cfg.Ports.Seen = func(what actors.Seen, why string) {
			c.seen[what]++
			if what == actors.SeenPanic { // only what should be impossible panics
				c.fail(fmt.Errorf("%s: %s: %s", node.name, what, why))
			}
		}
	}
	node.ended = func() { c.restart(node) }
	c.net.Join(node)
	return node, nil
}

func (c *Cluster) close() (err error) {
	for _, n := range slices.Concat(c.nodes, c.dismissed) {
		err = errors.Join(err, n.Close())
	}
	return err
}

// found starts all nodes and waits until each has joined.
func (c *Cluster) found() error {
	for _, n := range c.nodes {
		n.Start()
	}
	if err := c.w.Run(func() bool { return c.allStarted() || c.startFailure() != nil }, time.Minute); err != nil {
		return fmt.Errorf("found the cluster: %w", err)
	}
	c.founded = true
	return c.startFailure()
}

// allStarted says whether each node has started, or is refused as it must be.
func (c *Cluster) allStarted() bool {
	for _, n := range c.nodes {
		if !n.started && !c.atlas.refused(n) {
			return false
		}
	}
	return true
}

func (c *Cluster) startFailure() (err error) {
	for _, n := range c.nodes {
		if n.failure != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", n.name, n.failure))
		}
	}
	return err
}

// createTopic makes a topic by way of any node, and waits for it.
func (c *Cluster) createTopic(name codec.Topic, partitions, replicas int, settings map[string]string) error {
	var got error
	done := false
	c.replicas = replicas
	c.any().Broker.CreateTopic(codec.CreateTopic{Topic: name, Partitions: int32(partitions), Replicas: int32(replicas), Settings: settings},
		func(_ codec.TopicDescription, err error) { got, done = err, true })
	if err := c.w.Run(func() bool { return done }, time.Minute); err != nil || got != nil {
		return errors.Join(fmt.Errorf("create topic %s", name), err, got)
	}
	for i := range partitions {
		c.logs = append(c.logs, codec.TopicPartition{Topic: name, Partition: codec.Partition(i)})
	}
	return nil
}

// any is a node that is up.
func (c *Cluster) any() *Node {
	var up []*Node
	for _, n := range c.nodes {
		if n.Up() {
			up = append(up, n)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[c.chance.IntN(len(up))]
}

// leader is the node that says it leads a log, and its handle; of several the
// one of the latest term.
func (c *Cluster) leader(log codec.TopicPartition) (node *Node, h *actors.Handle) {
	term := codec.Term(0)
	for _, n := range c.nodes {
		if !n.Up() {
			continue
		}
		one, err := n.Broker.Partition(log)
		if err != nil {
			continue
		}
		if leads, t := one.Leads(); leads && t >= term {
			node, h, term = n, one, t
		}
	}
	return node, h
}

// kill ends a node's process, also one whose start failed or hangs; m says what
// becomes of its disk.
func (c *Cluster) kill(n *Node, m Mode) {
	if n.Life == nil || n.Life.dead {
		return
	}
	if slices.ContainsFunc(c.atlas.apart, func(s *swapped) bool { return s.a == n || s.b == n }) {
		m = Kept // on the other's disk nothing may change, not by a power cut either
	}
	c.kills++
	n.Kill()
	c.fail(n.Disk.Crash(m, c.chance))
	c.net.Died(n)
}

// revive starts a node that is down.
func (c *Cluster) revive(n *Node) {
	if n.Up() || n.held {
		return
	}
	n.Start()
	if n.failure != nil { // a fault was laid for the start itself
		c.kill(n, Kept)
	}
}

// restart starts a node again whose broker has ended by itself, as whoever watches over
// a process does.
func (c *Cluster) restart(n *Node) {
	life := n.Life
	c.struck["ended"]++
	c.w.After(c.upTo(2*time.Second), "restart", func() {
		if n.Life == life && n.Up() {
			c.kill(n, Kept)
			c.revive(n)
		}
	})
}

// fail keeps the first trouble that no history shows.
func (c *Cluster) fail(err error) {
	if err != nil && c.broken == nil {
		c.broken = err
	}
}

// judge is what is wrong with the history. One seed in a hundred has its appends
// searched for a linear order as well.
func (c *Cluster) judge(seed uint64) ([]check.Violation, error) {
	c.story.history.Complete = true
	v := check.Names(c.claims, searchWithin)
	if seed%100 == 1 {
		more := check.Appends(c.story.history, 200, searchWithin)
		v.Illegal, v.Undecided = append(v.Illegal, more.Illegal...), append(v.Undecided, more.Undecided...)
	}
	c.undecided = len(v.Undecided)
	if len(v.Illegal) > 0 {
		return nil, fmt.Errorf("not linearizable: %s", v.Illegal[0])
	}
	return check.Check(c.story.history), nil
}
