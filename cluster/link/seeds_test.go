package link

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// court judges what links say of each other: a process that lives is never
// lost, and none is lost twice by the same one.
type court struct {
	mu    sync.Mutex
	ended map[codec.NodeID]int                  // lives of a node
	lost  map[codec.NodeID]map[codec.NodeID]int // by an observer's life: how many
	began map[codec.NodeID]map[codec.NodeID]int // ended before the observer's life
	wrong []string
}

func newCourt() *court {
	return &court{ended: map[codec.NodeID]int{}, lost: map[codec.NodeID]map[codec.NodeID]int{}, began: map[codec.NodeID]map[codec.NodeID]int{}}
}

// life is that an observer begins.
func (c *court) life(observer codec.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[observer], c.began[observer] = map[codec.NodeID]int{}, map[codec.NodeID]int{}
	for n, k := range c.ended {
		c.began[observer][n] = k
	}
}

func (c *court) says(observer, node codec.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[observer][node]++
	if may := c.ended[node] - c.began[observer][node]; c.lost[observer][node] > may {
		c.wrong = append(c.wrong, fmt.Sprintf("%s says for the time %d that %s is lost, and it has ended %d times", observer, c.lost[observer][node], node, may))
	}
}

// Nodes are killed, started, moved and parted, connections broken and cables
// cut, by chance; whatever happens, nobody that lives is lost, nobody twice,
// and when all is mended everybody reaches everybody.
//
//	TROUPE_LINK_SEED=7 TROUPE_LINK_SEEDS=1 go test ./cluster/link -run Seeds
func TestSeeds(t *testing.T) {
	first, n := fromEnvironment("TROUPE_LINK_SEED", 1), fromEnvironment("TROUPE_LINK_SEEDS", 40)
	for seed := first; seed < first+n; seed++ {
		play(t, func(t *testing.T, s *troupe) { s.storm(seed) })
		if t.Failed() {
			t.Fatalf("again: TROUPE_LINK_SEED=%d TROUPE_LINK_SEEDS=1 go test ./cluster/link -run Seeds", seed)
		}
	}
}

func fromEnvironment(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

var names = []codec.NodeID{"n1", "n2", "n3", "n4"}

func everybody() map[codec.NodeID]string {
	all := map[codec.NodeID]string{}
	for _, n := range names {
		all[n] = addressOf(n)
	}
	return all
}

func (s *troupe) storm(seed uint64) {
	rng, judge := rand.New(rand.NewPCG(seed, 0)), newCourt()
	begin := func(n codec.NodeID) {
		judge.life(n)
		s.start(n, func(c *Config) { c.Lost = func(node codec.NodeID) { judge.says(n, node) } }).SetPeers(everybody())
	}
	for _, n := range names {
		begin(n)
	}
	for range 150 {
		s.pass(time.Duration(rng.ExpFloat64() * float64(time.Second)))
		n, other := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
		p := s.players[n]
		switch k := rng.IntN(12); {
		case p == nil:
			begin(n)
		case k < 2:
			judge.mu.Lock()
			judge.ended[n]++
			judge.mu.Unlock()
			s.kill(n)
		case k == 2: // as planned
			judge.mu.Lock()
			judge.ended[n]++
			judge.mu.Unlock()
			p.Close()
			delete(s.players, n)
		case k == 3:
			s.net.breakAll()
		case k == 4:
			s.net.set(func() { s.net.cut[[2]string{string(n), string(other)}] = true })
		case k == 5:
			s.net.set(func() { clear(s.net.cut) })
		case k == 6:
			less := everybody()
			delete(less, other)
			p.SetPeers(less)
		case k == 7:
			p.SetPeers(everybody())
		case k == 8:
			s.pass(time.Duration(rng.Int64N(int64(2 * deadAfter))))
		default:
			for range rng.IntN(50) {
				p.say(other, "small")
				p.Send(other, [][]byte{[]byte("bulk"), make([]byte, rng.IntN(20_000))})
			}
		}
		require.Empty(s, judge.wrong, "seed %d", seed)
	}
	s.mended(begin)
	require.Empty(s, judge.wrong, "seed %d", seed)
}

// mended ends all that is wrong and has everybody talk to everybody.
func (s *troupe) mended(begin func(codec.NodeID)) {
	s.net.set(func() { clear(s.net.cut) })
	for _, n := range names {
		if s.players[n] == nil {
			begin(n)
		}
		s.players[n].SetPeers(everybody())
	}
	s.pass(deadAfter + 2*pauseRefused)
	for _, n := range names {
		s.players[n].hears()
	}
	for _, n := range names {
		for _, other := range names {
			if n != other {
				s.players[n].say(other, "all is well")
				s.players[n].Send(other, [][]byte{[]byte("all is "), []byte("well")})
			}
		}
	}
	s.pass(time.Second)
	for _, n := range names {
		require.Len(s, s.players[n].hears(), 2*(len(names)-1), "%s: %+v", n, s.players[n].Status())
		for _, p := range s.players[n].Status().Peers {
			require.Zero(s, p.Control.QueuedBytes+p.Bulk.QueuedBytes)
			require.False(s, p.Lost)
		}
	}
}
