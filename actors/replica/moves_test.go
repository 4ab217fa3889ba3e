package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

// Whatever happens while a group moves from some replicas to others, and whoever of
// them has not written down yet what was decided: when it gets quiet, somebody leads,
// the group is where it was to go, and those that stay have all of the log.
func TestRandomMoves(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 40
	}
	if *seedFlag != 0 {
		movesPlay(t, *seedFlag)
		return
	}
	moved := 0
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed-%d", seed+1), func(t *testing.T) { moved += movesPlay(t, uint64(seed+1)) })
	}
	t.Logf("%d moves", moved)
	require.Greater(t, moved, seeds)
}

// mover moves a group about. A move ends when a leader says so; then those that were
// left are gone for good.
type mover struct {
	player
	to    []codec.ReplicaID
	next  codec.ReplicaID
	moved int
}

func movesPlay(t *testing.T, seed uint64) int {
	cryptotest.SetGlobalRandom(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("again with: go test -run TestRandomMoves -replica.seed=%d", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, 1+r.IntN(3))
	p := &mover{player: player{w: w, r: r, idem: &retrier{w: w, flying: map[int]int{}, done: map[int]bool{}}}, next: 4}
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
	p.settle()
	return p.moved
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
	found := 0
	for i := codec.Index(2); w.log[i].Index == i; i++ {
		if run, ok, _ := codec.ParseBatchEntry(w.log[i].Data); ok && w.log[i].Type == raftpb.EntryNormal {
			for k := range run.Len() {
				if crc, ok := w.acked[run.At(k).BaseOffset]; ok {
					require.Equal(w.t, crc, run.At(k).CRC)
					found++
				}
			}
		}
	}
	require.Len(w.t, w.acked, found, "acknowledged batches are missing")
}
