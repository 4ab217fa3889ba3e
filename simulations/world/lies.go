package world

import (
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// strikeLie has some nodes hear, again and again, that the process of another one has
// ended, which lives; and nobody hear of any that does. So membership is wrong both ways,
// and not the same everywhere. What rests on it may be slow then, and must not be wrong.
func (c *Cluster) strikeLie(f scenario.Fault) (met bool) {
	about := c.targets(f.Args[0])
	until := c.w.Elapsed() + f.For(c.upTo(8*time.Second))
	c.net.silentUntil = max(c.net.silentUntil, until)
	for _, of := range about {
		for _, n := range c.shuffled()[:1+c.chance.IntN(len(c.nodes)-1)] {
			if n != of && n.Up() {
				met = true
				c.lie(n, of, until)
			}
		}
	}
	return met
}

func (c *Cluster) lie(to, of *Node, until time.Duration) {
	c.w.After(time.Duration(50+c.chance.IntN(600))*time.Millisecond, "nemesis", func() {
		if c.calm || c.w.Elapsed() >= until {
			return
		}
		if to.Up() && of.Up() {
			c.w.Note(string(to.name), "is told that "+string(of.name)+" has ended", 0)
			to.Broker.Lost(of.name)
		}
		c.lie(to, of, until)
	})
}
