package world

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// strike does what one line of a scenario says, and has it undone in time. Only
// what met somebody counts as having happened; what strikes later counts then.
func (c *Cluster) strike(f scenario.Fault) {
	c.w.Note("nemesis", f.String(), 0)
	met := func(somebody bool) {
		if somebody {
			c.struck[f.Verb]++
		}
	}
	switch f.Verb {
	case "kill":
		met(c.strikeKill(c.targets(f.Args[0]), f))
	case "power":
		met(c.strikeKill(c.nodes, f))
	case "pause":
		met(c.strikePause(f))
	case "cut", "isolate", "split", "bridge", "lossy", "stall":
		met(c.strikeNet(f))
	case "fault":
		c.strikeFault(f)
	case "fill", "slow":
		met(c.strikeDisk(f))
	case "clock":
		met(c.strikeClock(f))
	case "rot":
		c.strikeRot(f)
	case "lose":
		c.strikeLose(f)
	case "swap":
		c.strikeSwap(f)
	case "lie":
		met(c.strikeLie(f))
	case "transfer":
		met(c.strikeTransfer())
	case "trim":
		met(c.strikeTrim())
	case "move":
		met(c.strikeMove())
	case "join":
		met(c.strikeJoin())
	case "retire":
		met(c.strikeRetire())
	case "resize":
		met(c.strikeResize())
	case "alter":
		met(c.strikeAlter())
	default:
		c.fail(fmt.Errorf("the world cannot do %q yet", f.Verb))
	}
}

// later does something when a fault is over, unless all are.
func (c *Cluster) later(d time.Duration, f func()) {
	c.w.After(d, "nemesis", func() {
		if !c.calm {
			f()
		}
	})
}

// targets are the nodes that a word of a scenario means now. Only those that
// are up are struck.
func (c *Cluster) targets(word string) (list []*Node) {
	log := c.logs[c.chance.IntN(len(c.logs))]
	lead, _ := c.leader(log)
	switch word {
	case "all":
		list = c.nodes
	case "leader":
		list = append(list, lead)
	case "metadata":
		list = append(list, c.metadataLeader())
	case "follower":
		for _, n := range c.shuffled() {
			if n != lead && n.Up() {
				list = append(list, n)
				break
			}
		}
	case "most":
		list = c.shuffled()[1:]
	case "minority":
		list = c.shuffled()[:(len(c.nodes)-1)/2]
	case "any":
		list = append(list, c.nodes[c.chance.IntN(len(c.nodes))])
	default:
		list = append(list, c.net.node(codec.NodeID(word)))
	}
	var up []*Node
	for _, n := range list {
		if n != nil && n.Up() {
			up = append(up, n)
		}
	}
	return up
}

func (c *Cluster) shuffled() []*Node {
	list := append([]*Node(nil), c.nodes...)
	c.chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func (c *Cluster) strikeKill(list []*Node, f scenario.Fault) (met bool) {
	for _, n := range list {
		met = met || n.Up()
		c.kill(n, c.mode(f.With["disk"]))
		c.reviveIn(n, f.For(c.upTo(3*time.Second)))
	}
	return met
}

// strikeClock has clocks jump, or go faster or slower than time from now on.
func (c *Cluster) strikeClock(f scenario.Fault) (met bool) {
	for _, n := range c.targets(f.Args[0]) {
		met = true
		if rate := f.Float("drift"); rate != 0 {
			n.Life.Drift(rate)
			continue
		}
		by := f.Duration("by", time.Hour)
		n.Life.Skew(by)
		c.truths.behind, c.truths.ahead = min(c.truths.behind, by), max(c.truths.ahead, by)
	}
	return met
}

// mode is what a crash leaves of what was not fsynced.
func (c *Cluster) mode(word string) Mode {
	switch word {
	case "kept":
		return Kept
	case "lost":
		return Lost
	case "torn":
		return Torn
	case "zeroed":
		return Zeroed
	}
	modes := []Mode{Kept, Kept, Any, Lost, Torn, Zeroed}
	return modes[c.chance.IntN(len(modes))]
}

func (c *Cluster) upTo(d time.Duration) time.Duration {
	return time.Duration(c.chance.Int64N(int64(d)))
}

func (c *Cluster) reviveIn(n *Node, d time.Duration) { c.later(d, func() { c.revive(n) }) }

func (c *Cluster) strikePause(f scenario.Fault) (met bool) {
	for _, n := range c.targets(f.Args[0]) {
		met = true
		life := n.Life
		life.Pause()
		c.w.After(f.For(c.upTo(6*time.Second)), "nemesis", life.Resume)
	}
	return met
}

// strikeDisk makes a disk slow or full.
func (c *Cluster) strikeDisk(f scenario.Fault) (met bool) {
	for _, n := range c.targets(f.Args[0]) {
		met = true
		life := n.Life
		switch f.Verb {
		case "slow":
			life.Slow(f.Duration("by", 500*time.Millisecond))
			c.w.After(f.For(c.upTo(5*time.Second)), "nemesis", func() { life.Slow(0) })
		case "fill":
			n.Disk.SetCapacity(n.Disk.Used() + int64(c.chance.IntN(200<<10)))
			c.w.After(f.For(c.upTo(8*time.Second)), "nemesis", func() { n.Disk.SetCapacity(0) })
		}
	}
	return met
}

// strikeFault has a call of a disk fail. Some failures end a replica until its
// process is started again, so that follows.
func (c *Cluster) strikeFault(f scenario.Fault) {
	for _, n := range c.targets(f.Args[0]) {
		life := n.Life
		c.failSoon(n, faultNamed(f.Args[1]), f.With["call"])
		c.later(f.For(time.Second+c.upTo(15*time.Second)), func() {
			if n.Life == life && n.Up() && life.wounded {
				c.kill(n, c.mode(""))
				c.reviveIn(n, c.upTo(3*time.Second))
			}
		})
	}
}

// failSoon has one of the next calls of a node's disk fail: the first of the kind
// op behind a few others, or whichever comes then; of those that take no room none
// says that there is none. What fails otherwise ends something until the process
// is started again; so does an fsync in any case, and what may have been one.
func (c *Cluster) failSoon(n *Node, kind Fault, op string) {
	disk := n.Disk
	from, over := disk.Calls()+c.chance.IntN(40), false
	disk.Inject(func(call Call) Fault {
		if over || call.Seq < from || op != "" && call.Op != op || kind == ENOSPC && !takesRoom(call.Op) {
			return None
		}
		over = true
		c.struck[kind.String()+" "+call.Op]++
		n := c.nodes[slices.IndexFunc(c.nodes, func(n *Node) bool { return n.Disk == disk })] // whose it is by now
		n.Life.wounded = n.Life.wounded || kind != ENOSPC || strings.HasPrefix(call.Op, "sync") || strings.HasPrefix(call.Op, "foreign")
		return kind
	})
}

// takesRoom says whether a call may find the disk full.
func takesRoom(op string) bool {
	switch op {
	case "read", "readdir", "size", "free", "lock", "close", "remove", "removeall":
		return false
	}
	return true
}

func faultNamed(word string) Fault {
	for _, f := range Faults() {
		if f.String() == word {
			return f
		}
	}
	return EIO
}

// strikeTransfer hands the leadership of a log to another of its replicas.
func (c *Cluster) strikeTransfer() (met bool) {
	log := c.logs[c.chance.IntN(len(c.logs))]
	lead, h := c.leader(log)
	if lead == nil {
		return false
	}
	for _, n := range c.shuffled() {
		if n != lead {
			h.Transfer(n.name)
			return true
		}
	}
	return false
}

// strikeTrim moves the start of a log.
func (c *Cluster) strikeTrim() (met bool) {
	log := c.logs[c.chance.IntN(len(c.logs))]
	_, h := c.leader(log)
	if h == nil {
		return false
	}
	start, high, err := h.Bounds()
	if err != nil || high <= start {
		return false
	}
	to := start + codec.Offset(c.chance.Int64N(int64(high-start)))
	c.truths.asked[log] = max(c.truths.asked[log], to)
	h.Trim(to, func(codec.Offset, error) {})
	return true
}

// strikeMove has the replicas of a log go to other nodes: to as many as there
// were most of the time, drawn anew.
func (c *Cluster) strikeMove() (met bool) {
	log := c.logs[c.chance.IntN(len(c.logs))]
	n, list := c.any(), c.shuffled()
	if n == nil || c.atlas.used() {
		return false
	}
	replicas := c.replicas
	if c.chance.IntN(5) == 0 {
		replicas = 1 + c.chance.IntN(len(list))
	}
	var nodes []codec.NodeID
	for _, one := range list[:replicas] {
		nodes = append(nodes, one.name)
	}
	c.atlas.moving++
	over := false
	once := func() { // its answer is lost with its process
		if !over {
			over = true
			c.atlas.moving--
		}
	}
	n.Life.OnKill(once)
	paid := c.debts.owe(n, fmt.Sprintf("a move of %s to %v", log, nodes))
	n.Broker.ChangeReplicas(log, nodes, func(err error) {
		if !paid() {
			return
		}
		once()
		c.w.Note("nemesis", fmt.Sprintf("%s goes to %v: %s", log, nodes, codec.CodeOf(err)), 0)
	})
	return true
}

// strikeAlter changes a setting of a topic to what does not matter.
func (c *Cluster) strikeAlter() (met bool) {
	n := c.any()
	if n != nil {
		settings := map[string]string{"retention.time": fmt.Sprintf("%dh", 100+c.chance.IntN(100))}
		n.Broker.AlterTopic(codec.AlterTopic{Topic: c.logs[0].Topic, Settings: settings}, func(codec.TopicDescription, error) {})
	}
	return n != nil
}

// metadataLeader is the node that leads the metadata.
func (c *Cluster) metadataLeader() *Node {
	for _, n := range c.nodes {
		if n.Up() && n.Broker.LeadsMetadata() {
			return n
		}
	}
	return nil
}
