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

// calmDown ends the faults and starts what is down. Of the rest some seeds start
// all anew, for that is a test too; most do not: what only a new start mends, would
// be mended by it here, and in no cluster of anybody's.
func (c *Cluster) calmDown() {
	c.calm = true
	c.net.Heal()
	c.allTogether()
	all := c.w.Rand("settle").IntN(4) == 0
	for _, n := range c.nodes {
		n.Disk.Inject(nil)
		n.Disk.OnCall(nil)
		n.Disk.SetCapacity(0)
		if n.Up() {
			n.Life.Resume()
			n.Life.Slow(0)
		}
		if n.held {
			continue
		}
		if all || n.failure != nil || n.Life.wounded {
			c.kill(n, Kept)
		}
		c.revive(n)
	}
}

// settle ends the faults, and waits until every log takes records again and every
// replica holds the same; then all of it is read.
func (c *Cluster) settle(within time.Duration) error {
	c.calmDown()
	if err := c.run(c.allStarted, within); err != nil {
		return errors.Join(fmt.Errorf("not all nodes start again: %w", err), c.startFailure())
	}
	if err := c.run(func() bool { return len(c.retiring) == 0 && c.allStarted() }, within); err != nil {
		return fmt.Errorf("nodes do not leave: %w", err)
	}
	if err := c.run(c.voting, within); err != nil {
		return fmt.Errorf("not as many vote on the metadata as can: %w", err)
	}
	for _, log := range c.logs {
		if err := c.oneMore(log, within); err != nil {
			return err
		}
	}
	if err := c.run(c.faithfulIdle, within); err != nil {
		return fmt.Errorf("idempotent producers do not come to an end: %w", err)
	}
	if err := c.run(func() bool { return c.debts.left() == "" }, within); err != nil {
		return fmt.Errorf("%s: %w", c.debts.left(), err)
	}
	if err := c.run(c.unchanging, within); err != nil {
		return fmt.Errorf("changes of replicas do not come to an end: %w", err)
	}
	if err := c.run(c.healed, within); err != nil {
		return fmt.Errorf("damaged replicas are not replaced: %w", err)
	}
	if err := c.run(c.buried, within); err != nil {
		return fmt.Errorf("what was deleted does not go: %w", err)
	}
	if err := c.run(func() bool { return c.tidy() == "" }, within); err != nil {
		return fmt.Errorf("%s: %w", c.tidy(), err)
	}
	for _, log := range c.logs {
		if err := c.converge(log, within); err != nil {
			return err
		}
		if err := c.inSync(log, within); err != nil {
			return err
		}
	}
	c.named()
	c.fail(c.atlas.judge())
	return c.broken
}

// inSync waits until the leader of a log counts those as in sync that are.
func (c *Cluster) inSync(log codec.TopicPartition, within time.Duration) error {
	want := 0 // those that have a replica which is well
	for _, n := range c.nodes {
		if h, err := n.Broker.Partition(log); err == nil && h != nil && !c.atlas.excused(n, log) {
			want++
		}
	}
	got := 0
	err := c.run(func() bool {
		lead, _ := c.leader(log)
		if lead == nil {
			return false
		}
		for _, p := range lead.Broker.Stats().Partitions {
			if p.Name == log {
				got = p.InSync
			}
		}
		return got == want
	}, within)
	if err != nil {
		return fmt.Errorf("the leader of %s counts %d replicas as in sync, %d are: %w", log, got, want, err)
	}
	return nil
}

// run takes steps until the condition holds, or until something is broken for
// good: what the condition says does not matter then.
func (c *Cluster) run(until func() bool, within time.Duration) error {
	err := c.w.Run(func() bool { return c.broken != nil || until() }, within)
	if c.broken != nil {
		return c.broken
	}
	return err
}

// healed says whether every replica that was found to be damaged has another in its
// place, which has everything.
func (c *Cluster) healed() bool { return !c.atlas.healing() && c.unchanging() }

// buried says whether all that was deleted is gone, but on nodes that are refused.
func (c *Cluster) buried() bool {
	for _, n := range c.nodes {
		if !n.Up() || c.atlas.refused(n) {
			continue
		}
		for _, t := range n.Broker.Metadata().Tombstones {
			if !c.atlas.refused(c.net.node(t.Node)) {
				return false
			}
		}
	}
	return true
}

// unchanging says whether every replica is where the metadata wants it, as all
// nodes see it.
func (c *Cluster) unchanging() bool {
	for _, n := range c.nodes {
		if !n.Up() || c.atlas.refused(n) {
			continue
		}
		s := n.Broker.Metadata()
		if s == nil {
			return false
		}
		for _, log := range c.logs {
			if s.Topics[log.Topic].Partitions[log.Partition].Change != 0 {
				return false
			}
		}
	}
	return true
}

// faithfulIdle says whether all that was sent until it is stored is, and whether
// each producer got an id at all.
func (c *Cluster) faithfulIdle() bool {
	for _, f := range c.faithfuls {
		if !f.known || !f.idle() {
			return false
		}
	}
	return true
}

// oneMore has a record acknowledged.
func (c *Cluster) oneMore(log codec.TopicPartition, within time.Duration) error {
	var at []int
	open := false
	acked := func() bool { return len(at) > 0 && c.story.history.Produces[at[0]].Outcome == check.OK }
	err := c.run(func() bool {
		if !open && !acked() {
			open = true
			at = c.produce(log, 1, func() { open = false })
		}
		return acked()
	}, within)
	if err != nil {
		return fmt.Errorf("%s does not take records again: %w", log, err)
	}
	return nil
}

// converge waits until all replicas have one watermark, then reads each.
func (c *Cluster) converge(log codec.TopicPartition, within time.Duration) error {
	var handles []*actors.Handle
	var nodes []*Node
	for _, n := range c.nodes {
		if h, err := n.Broker.Partition(log); err == nil && !c.atlas.excused(n, log) {
			handles, nodes = append(handles, h), append(nodes, n)
		}
	}
	same := func() bool {
		_, first, err := handles[0].Bounds()
		for _, h := range handles[1:] {
			_, high, e := h.Bounds()
			if err != nil || e != nil || high != first {
				return false
			}
		}
		return err == nil
	}
	if err := c.run(same, within); err != nil {
		return fmt.Errorf("the replicas of %s do not become equal: %w", log, err)
	}
	if err := c.compare(log, handles, within); err != nil {
		return err
	}
	for i, h := range handles {
		start, high, err := h.Bounds()
		if err != nil {
			return err
		}
		c.story.history.Start[log] = max(start, c.story.history.Start[log])
		_, err = c.readAll(h, log, c.story.newSession(fmt.Sprintf("last reading of replica %d", i)), start, high)
		if codec.CodeOf(err) == codec.NotLeader && c.atlas.damageOf(nodes[i], log) != nil {
			// It is found, and not served; the others have it.
			err = c.run(func() bool { return c.atlas.excused(nodes[i], log) }, within)
		}
		if err != nil {
			return fmt.Errorf("last reading of %s: %w", log, err)
		}
		c.look(nodes[i])
	}
	return c.kept(log, c.story.history.Start[log])
}

// compare holds what replicas derived from their logs against each other, once
// all of them are at one index.
func (c *Cluster) compare(log codec.TopicPartition, handles []*actors.Handle, within time.Duration) error {
	var got []actors.Inspection
	left := 0
	ask := func() {
		got, left = make([]actors.Inspection, len(handles)), len(handles)
		for i, h := range handles {
			h.Inspect(func(one actors.Inspection, err error) {
				one.Ahead = one.Ahead || err != nil
				got[i] = one
				left--
			})
		}
	}
	ask()
	err := c.run(func() bool {
		if left != 0 {
			return false
		}
		for _, one := range got {
			if one.Ahead || one.Index != got[0].Index {
				left = -1 // asked again soon
				c.w.After(20*time.Millisecond, "client", ask)
				return false
			}
		}
		return true
	}, within)
	if err != nil {
		return fmt.Errorf("the replicas of %s do not come to one index: %w", log, err)
	}
	for _, one := range got[1:] {
		if one != got[0] {
			return fmt.Errorf("%s: as of entry %d one replica has %+v, another %+v", log, one.Index, got[0], one)
		}
	}
	return nil
}

// readAll reads [from, limit) of one replica as one session, and what else is in the
// last batch: next is behind it.
func (c *Cluster) readAll(h *actors.Handle, log codec.TopicPartition, session string, from, limit codec.Offset) (next codec.Offset, err error) {
	for from < limit {
		call := c.story.moment()
		p, err := h.Read(nil, from, 1+c.chance.IntN(30<<10))
		if err != nil {
			return from, err
		}
		if len(p) == 0 {
			return from, fmt.Errorf("read of %s at %d gave nothing below the watermark %d", log, from, limit)
		}
		if err := c.sameBytes(log, p); err != nil {
			return from, err
		}
		if from, err = c.story.took(log, session, call, from, p); err != nil {
			return from, err
		}
	}
	return from, nil
}

// rawBatch stands for the bytes of a batch.
type rawBatch struct {
	crc   uint32
	bytes int
}

// sameBytes holds batches against what any replica ever served at their offsets:
// a batch is the same bytes everywhere and for ever.
func (c *Cluster) sameBytes(log codec.TopicPartition, p []byte) error {
	have := c.raw[log]
	if have == nil {
		have = map[codec.Offset]rawBatch{}
		c.raw[log] = have
	}
	for len(p) > 0 {
		b := codec.Batch(p)
		b = b[:b.Size()]
		is := rawBatch{codec.CRC32C(b), len(b)}
		if was, known := have[b.BaseOffset()]; known && was != is {
			return fmt.Errorf("%s: the batch at offset %d is not the bytes that it was", log, b.BaseOffset())
		}
		have[b.BaseOffset()] = is
		p = p[len(b):]
	}
	return nil
}

// searchWithin is how long a search for a linear order may take, of the time
// that does not count: what it has not found by then is counted as undecided.
const searchWithin = 5 * time.Second

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
