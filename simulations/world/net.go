package world

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// Net is the links between the nodes of a World. Without faults a link is what
// TCP gives: what is sent arrives once, in order, a little later, as long as
// both processes live. Letters are bytes on it, copied when they are sent.
type Net struct {
	w      *World
	chance *rand.Rand
	nodes  []*Node
	ways   map[[2]codec.NodeID]*Way
	wire   *wire
	broken func(error) // told of what the wire finds; nil for nobody

	silentUntil time.Duration // nobody hears that a process has ended

	Sent, Lost, Doubled, Swapped, Garbled int // letters
}

// Way is one direction of the link between two nodes, and what is wrong with
// it. The zero Way is a good one.
type Way struct {
	Cut     bool          // nothing arrives, and nobody is told
	Stalled bool          // nothing arrives until it is not stalled any more
	Loss    float64       // part of the letters that are lost
	Double  float64       // part of them that arrive twice
	Garble  float64       // part of them of which a byte is another
	Mixed   bool          // letters overtake each other
	Slow    time.Duration // this much later, about

	last time.Duration // when the last letter arrives
	held []func()      // while it is stalled
}

// Delays of a good link.
const (
	wayLeast = 50 * time.Microsecond
	wayMost  = 2 * time.Millisecond
	// goneAfter is about how long it takes to notice that a process has ended.
	goneAfter = 3 * time.Millisecond
)

// Net makes the links of a World. Nodes join it one by one.
func (w *World) Net() *Net {
	return &Net{w: w, chance: w.Rand("net"), ways: map[[2]codec.NodeID]*Way{}, wire: newWire()}
}

// Join puts a node on the net, from its next life on.
func (n *Net) Join(node *Node) {
	n.nodes = append(n.nodes, node)
	shape := node.Shape
	node.Shape = func(c *actors.Config) {
		c.Ports.Link = port{n, node, node.Life}
		if shape != nil {
			shape(c)
		}
	}
}

// Way is the direction from one node to another.
func (n *Net) Way(from, to codec.NodeID) *Way {
	key := [2]codec.NodeID{from, to}
	w := n.ways[key]
	if w == nil {
		w = &Way{}
		n.ways[key] = w
	}
	return w
}

// Heal ends all that is wrong with every way.
func (n *Net) Heal() {
	for _, a := range n.nodes {
		for _, b := range n.nodes {
			n.Mend(a.name, b.name)
		}
	}
}

// Mend ends what is wrong with one way. What was held arrives now.
func (n *Net) Mend(from, to codec.NodeID) {
	w := n.Way(from, to)
	held := w.held
	*w = Way{last: w.last}
	for _, f := range held {
		f()
	}
}

// Died tells the other nodes that the process of one has ended, when their
// links to it are good: they are closed, and nobody answers there.
func (n *Net) Died(node *Node) {
	for _, other := range n.nodes {
		if other == node || !other.Up() {
			continue
		}
		life := other.Life
		delay := goneAfter/2 + time.Duration(n.chance.Int64N(int64(goneAfter)))
		n.w.After(delay, "net", func() {
			way := n.Way(node.name, other.name)
			if n.w.Elapsed() < n.silentUntil || life.dead || node.Up() || way.Cut || way.Stalled || n.Way(other.name, node.name).Cut {
				return
			}
			n.w.Note(string(other.name), "link to "+string(node.name)+" is gone", 0)
			other.Broker.Lost(node.name)
		})
	}
}

// port is the net as one life of one node sees it.
type port struct {
	net  *Net
	node *Node
	life *Life
}

// Send implements actors.Link.
func (p port) Send(to codec.NodeID, parts [][]byte) {
	if p.life.dead {
		return
	}
	p.net.send(p.node, p.life, to, slices.Concat(parts...))
}

func (n *Net) send(from *Node, life *Life, to codec.NodeID, letter []byte) {
	n.Sent++
	if err := n.wire.said(letter); err != nil && n.broken != nil {
		n.broken(fmt.Errorf("%s says to %s: %w", from.name, to, err))
	}
	dest := n.node(to)
	if dest == nil || !dest.Up() {
		n.Lost++
		return
	}
	way, there := n.Way(from.name, to), dest.Life
	if way.Cut || n.chance.Float64() < way.Loss {
		n.Lost++
		return
	}
	if n.chance.Float64() < way.Garble {
		n.Garbled++
		letter[n.chance.IntN(len(letter))] ^= byte(1 + n.chance.IntN(255))
	}
	n.deliver(way, from, life, dest, there, letter)
	if n.chance.Float64() < way.Double {
		n.Doubled++
		n.deliver(way, from, life, dest, there, slices.Clone(letter))
	}
}

// deliver has a letter arrive, if both ends of the connection live until then.
func (n *Net) deliver(way *Way, from *Node, life *Life, dest *Node, there *Life, letter []byte) {
	digest := uint64(codec.CRC32C(letter))
	arrive := func() {
		if there.dead || life.dead && n.chance.IntN(2) == 0 || way.Cut {
			n.Lost++
			return
		}
		n.w.Note(string(dest.name), describe(from.name, letter), digest)
		there.when(func() { dest.Broker.Hear(from.name, letter) })
	}
	delay := wayLeast + time.Duration(n.chance.Int64N(int64(wayMost-wayLeast)))
	if way.Slow > 0 {
		delay += way.Slow/2 + time.Duration(n.chance.Int64N(int64(way.Slow)))
	}
	at := n.w.Elapsed() + delay
	if way.Mixed && n.chance.IntN(3) == 0 {
		if at < way.last {
			n.Swapped++
		}
	} else {
		at = max(at, way.last)
		way.last = at
	}
	n.w.After(at-n.w.Elapsed(), "net", func() {
		if way.Stalled {
			way.held = append(way.held, arrive)
			return
		}
		arrive()
	})
}

func (n *Net) node(name codec.NodeID) *Node {
	for _, one := range n.nodes {
		if one.name == name {
			return one
		}
	}
	return nil
}
