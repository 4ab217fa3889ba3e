package world

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// strikeNet spoils some ways between nodes, for a time.
func (c *Cluster) strikeNet(f scenario.Fault) (met bool) {
	ways := c.waysOf(f)
	for _, w := range ways {
		way := c.net.Way(w[0], w[1])
		switch f.Verb {
		case "lossy":
			way.Loss, way.Double, way.Mixed = f.Float("loss"), f.Float("double"), f.With["mixed"] != ""
			way.Slow, way.Garble = f.Duration("slow", 0), f.Float("garbled")
		case "stall":
			way.Stalled = true
		default:
			way.Cut = true
		}
	}
	c.w.After(f.For(500*time.Millisecond+c.upTo(5*time.Second)), "nemesis", func() {
		for _, w := range ways {
			c.net.Mend(w[0], w[1])
		}
	})
	return len(ways) > 0
}

// waysOf are the ways that a fault of the net spoils.
func (c *Cluster) waysOf(f scenario.Fault) (ways [][2]codec.NodeID) {
	add := func(a, b *Node) {
		if a != b {
			ways = append(ways, [2]codec.NodeID{a.name, b.name})
		}
	}
	switch f.Verb {
	case "cut":
		for _, a := range c.targets(f.Args[0]) {
			for _, b := range c.targets(f.Args[1]) {
				add(a, b)
			}
		}
	case "stall":
		for _, n := range c.targets(f.Args[0]) {
			for _, other := range c.nodes {
				add(other, n)
			}
		}
	case "isolate", "lossy":
		for _, n := range c.targets(f.Args[0]) {
			for _, other := range c.nodes {
				add(n, other)
				add(other, n)
			}
		}
	case "split", "bridge":
		list := c.shuffled()
		k := 1 + c.chance.IntN(len(list)-1)
		left, right := list[:k], list[k:]
		if f.Verb == "bridge" && len(right) > 1 {
			right = right[1:] // the first hears both
		}
		for _, a := range left {
			for _, b := range right {
				add(a, b)
				add(b, a)
			}
		}
	}
	return ways
}
