package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

// Whatever happens while a group moves from some replicas to others, and whoever of
// them has not written down yet what was decided: when it gets quiet, somebody leads,
// the group is where it was to go, and those that stay have all of the log.
func TestRandomMoves(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 40
	}
	var s saw
	play := func(t *testing.T, seed uint64) { movesPlay(t, seed, &s) }
	if *seedFlag != 0 {
		play(t, *seedFlag)
		return
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed-%d", seed+1), func(t *testing.T) { play(t, uint64(seed+1)) })
	}
	t.Logf("seen in all: %+v", s)
	require.Greater(t, s.moves, seeds)
	require.Greater(t, s.stored, seeds, "the idempotent producer hardly ever gets through")
	require.NotZero(t, s.deaths)
}

// saw counts what the plays came across.
type saw struct{ moves, stored, deaths int }

// mover moves a group about. A move ends when a leader says so; then those that were
// left are gone for good.
type mover struct {
	player
	to    []codec.ReplicaID
	next  codec.ReplicaID
	moved int
}

func movesPlay(t *testing.T, seed uint64, s *saw) {
	cryptotest.SetGlobalRandom(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("again with: go test -run TestRandomMoves -replica.seed=%d", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, 1+r.IntN(3))
	p := &mover{player: player{w: w, r: r, idem: &retrier{w: w, flying: map[int]int{}, done: map[int]bool{}}}, next: 4}
	w.heard = p.idem.heard
	for range 3000 {
		if r.IntN(20) == 0 {
			p.aim()
		}
		if r.IntN(8) == 0 {
			p.toward()
		}
		p.step()
		if r.IntN(150) == 0 {
			p.blackout()
		}
	}
	if r.IntN(2) == 0 {
		p.die(s)
	}
	p.settle()
	s.moves, s.stored = s.moves+p.moved, s.stored+p.idem.first
}

// die loses one for good that is not needed: without it, each half of what any of the
// others takes for the configuration has a majority. The leader, if it may be. Then the
// group is to be those that are left.
func (p *mover) die(s *saw) {
	var goes *node
	for _, n := range p.w.nodes {
		if p.dispensable(n) && (goes == nil || n.mind.Role().Leader) {
			goes = n
		}
	}
	if goes == nil {
		return
	}
	s.deaths++
	p.w.nodes = slices.DeleteFunc(p.w.nodes, func(n *node) bool { return n == goes })
	p.to = slices.DeleteFunc(p.to, func(id codec.ReplicaID) bool { return id == goes.id })
	if p.to != nil && len(p.to) == 0 || p.to == nil {
		p.to = nil
		for _, n := range p.w.nodes {
			p.to = append(p.to, n.id)
		}
	}
	p.lost()
}

func (p *mover) dispensable(gone *node) bool {
	var decided codec.Index
	for _, n := range p.w.nodes {
		decided = max(decided, n.mind.confAsOf)
	}
	for _, n := range p.w.nodes { // a configuration that nobody has yet may need it
		if c := n.mind.tail.confs; len(c) > 0 && c[len(c)-1] > decided {
			return false
		}
	}
	for _, n := range p.w.nodes {
		for _, half := range n.mind.node.Status().Config.Voters {
			alive := 0
			for id := range half {
				if o := p.w.find(codec.ReplicaID(id)); o != nil && o != gone {
					alive++
				}
			}
			if len(half) > 0 && alive <= len(half)/2 {
				return false
			}
		}
	}
	return len(p.w.nodes) > 1
}

// aim begins a move, when none is under way: some replicas stay, some are new.
func (p *mover) aim() {
	if p.to != nil {
		return
	}
	for _, n := range p.w.nodes {
		if p.r.IntN(2) == 0 {
			p.to = append(p.to, n.id)
		}
	}
	for len(p.to) == 0 || len(p.to) < 3 && p.r.IntN(2) == 0 {
		d := newDisk(nil)
		d.start, d.startAt, d.term, d.commit, d.confAsOf = 0, 0, 0, 0, 0
		p.w.add(p.next, d)
		p.to = append(p.to, p.next)
		p.next++
	}
}

// toward has whoever takes itself for the leader take a step.
func (p *mover) toward() {
	for _, n := range p.w.nodes {
		if p.to == nil || !n.mind.Role().Leader || !p.w.toward(n, p.to) || !n.mind.Role().Leader {
			continue
		}
		p.w.nodes = slices.DeleteFunc(p.w.nodes, func(n *node) bool { return !slices.Contains(p.to, n.id) })
		p.to = nil
		if p.moved++; p.r.IntN(2) == 0 {
			p.blackout()
		}
		return
	}
}

// blackout crashes all at once.
func (p *mover) blackout() {
	p.w.net = nil
	for _, n := range p.w.nodes {
		p.w.crash(n)
	}
	p.lost()
}

// settle ends all trouble.
func (p *mover) settle() {
	w := p.w
	p.cut = 0
	p.lost() // a node that is gone answers nobody
	for range 60 * ElectionTicks {
		for _, n := range slices.Clone(w.nodes) {
			n.mind.Tick()
			w.take(n)
		}
		w.stabilize()
		p.toward()
	}
	require.Nil(w.t, p.to, "the group did not get to where it was to go")
	require.True(w.t, slices.ContainsFunc(w.nodes, func(n *node) bool { return n.mind.Role().Leader }), "nobody leads")
	for _, n := range w.nodes {
		require.Equal(w.t, w.nodes[0].disk.last(), n.mind.Commit(), "replica %d did not catch up", n.id)
	}
	require.Empty(w.t, w.asked, "requests without an answer")
	checkLog(w)
	p.idem.check()
}
