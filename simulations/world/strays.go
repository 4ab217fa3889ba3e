package world

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// swapped are two nodes that run on each other's disk.
type swapped struct {
	a, b   *Node
	before [2][sha256.Size]byte // what is on the disk that each has now
}

// strikeLose kills a node and takes its disk away, if the atlas has room for it.
// It comes back with an empty one and its old name: as the member that it is, or,
// by a mistake, as a founder once more.
func (c *Cluster) strikeLose(f scenario.Fault) {
	for _, n := range c.targets(f.Args[0]) {
		if c.atlas.elsewhere(n) || !c.atlas.allows(n, 0) {
			continue
		}
		c.kill(n, Kept)
		c.fail(n.Disk.Wipe())
		c.atlas.lost = append(c.atlas.lost, n)
		n.forgetful = c.chance.IntN(2) == 0
		c.struck["lose"]++
		c.reviveIn(n, f.For(c.upTo(5*time.Second)))
	}
}

// strikeSwap starts two nodes on each other's disk, and some time later on their
// own again.
func (c *Cluster) strikeSwap(f scenario.Fault) {
	first := c.targets(f.Args[0])
	if len(first) == 0 {
		return
	}
	for _, b := range slices.Concat(c.targets(f.Args[1]), c.shuffled()) {
		a := first[0]
		if a == b || !b.Up() || c.atlas.elsewhere(a) || c.atlas.elsewhere(b) {
			continue
		}
		c.kill(a, c.mode(""))
		c.kill(b, c.mode(""))
		s := &swapped{a: a, b: b}
		c.exchange(s)
		s.before = s.prints()
		c.atlas.apart = append(c.atlas.apart, s)
		c.struck["swap"]++
		c.revive(a)
		c.revive(b)
		c.later(f.For(500*time.Millisecond+c.upTo(3*time.Second)), func() { c.together(s) })
		return
	}
}

func (c *Cluster) exchange(s *swapped) { s.a.Disk, s.b.Disk = s.b.Disk, s.a.Disk }

// prints are checksums of what is on the disks that they have now.
func (s *swapped) prints() (p [2][sha256.Size]byte) {
	for i, n := range []*Node{s.a, s.b} {
		p[i] = n.Disk.tree.picture("", Kept, nil).fingerprint()
	}
	return p
}

// together gives two nodes their own disks back. On the other's they must have
// been refused, and have written nothing.
func (c *Cluster) together(s *swapped) {
	i := slices.Index(c.atlas.apart, s)
	if i < 0 {
		return
	}
	c.atlas.apart = slices.Delete(c.atlas.apart, i, i+1)
	for _, n := range []*Node{s.a, s.b} {
		if n.Up() && n.started {
			c.fail(fmt.Errorf("%s started on the disk of another node", n.name))
		}
		c.kill(n, Kept)
	}
	if s.prints() != s.before {
		c.fail(fmt.Errorf("%s or %s wrote to the disk of the other", s.a.name, s.b.name))
	}
	c.exchange(s)
	c.revive(s.a)
	c.revive(s.b)
}

// allTogether ends all swaps.
func (c *Cluster) allTogether() {
	for len(c.atlas.apart) > 0 {
		c.together(c.atlas.apart[0])
	}
}
