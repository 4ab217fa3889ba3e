package replica

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
	"go.etcd.io/raft/v3/raftpb"
)

var seedFlag = flag.Uint64("replica.seed", 0, "run only this seed of the random play")

// Whatever the wire loses, repeats or reorders, whenever a replica crashes and
// loses what it had not made durable: the checks of the world hold after every
// step, and when it gets quiet everything acknowledged is on every replica.
func TestRandom(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	if *seedFlag != 0 {
		randomPlay(t, *seedFlag, &seen{})
		return
	}
	var s seen
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed-%d", seed+1), func(t *testing.T) { randomPlay(t, uint64(seed+1), &s) })
	}
	t.Logf("seen in all: %+v", s)
	require.NotZero(t, s.acked)
	require.NotZero(t, s.unknown)
	require.NotZero(t, s.retried)
	require.NotZero(t, s.snapshots)
	require.Greater(t, s.stored, 20*seeds, "the idempotent producer hardly ever gets through")
}

// seen counts what the plays came across: a play in which nothing goes wrong
// proves nothing.
type seen struct{ acked, unknown, retried, snapshots, stored int }

func randomPlay(t *testing.T, seed uint64, s *seen) {
	cryptotest.SetGlobalRandom(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("again with: go test -run TestRandom -replica.seed=%d", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, 3)
	p := &player{w: w, r: r, idem: &retrier{w: w, flying: map[int]int{}, done: map[int]bool{}}}
	w.heard = p.idem.heard
	for range 3000 {
		p.step()
	}
	p.quiet()
	p.idem.check()
	s.acked += len(w.acked)
	s.unknown += w.unknown
	s.retried, s.stored = s.retried+p.idem.again, s.stored+p.idem.first
	for _, n := range w.nodes {
		s.snapshots += n.disk.installed
	}
}

// player chooses what happens next.
type player struct {
	w     *world
	r     *rand.Rand
	value int
	cut   codec.ReplicaID // whose letters are lost for now; 0 for nobody's
	idem  *retrier
}

func (p *player) step() {
	w, r := p.w, p.r
	n := pick(r, w.nodes)
	switch c := r.IntN(1000); {
	case c < 400:
		p.wire()
	case c < 600:
		w.persist(n, 1+r.IntN(3))
	case c < 780:
		p.produce(n)
	case c < 940:
		n.mind.Tick()
		if r.IntN(3) > 0 { // several inputs to one Take
			w.take(n)
		}
	case c < 945:
		n.mind.Campaign()
		w.take(n)
	case c < 948:
		n.mind.Transfer(pick(r, w.nodes).id)
		w.take(n)
	case c < 950:
		n.mind.ForgetLeader()
		w.take(n)
	case c < 957:
		w.crash(n)
		p.lost()
		for _, l := range w.nodes { // the link is gone, and a snapshot with it
			if l != n {
				l.mind.SnapshotSent(n.id, false)
			}
		}
	case c < 964:
		if i := n.mind.Commit(); i > n.disk.start && i <= n.disk.last() && len(n.confs) == 0 && !n.installing() {
			n.disk.trim(n.disk.start + codec.Index(r.Uint64N(uint64(i-n.disk.start)+1)))
		}
	case c < 968:
		p.cut = codec.ReplicaID(r.IntN(5)) // 0 and 4 cut nobody off
	default:
		w.now += codec.Millis(r.IntN(7)) - 2 // clocks go back as well
		w.take(n)
	}
}

// wire delivers a letter out of order, loses it or repeats it.
func (p *player) wire() {
	if len(p.w.net) == 0 {
		return
	}
	i := 0
	if p.r.IntN(4) == 0 {
		i = p.r.IntN(len(p.w.net))
	}
	l := p.w.net[i]
	lost := p.cut != 0 && (l.msg.GetFrom() == uint64(p.cut) || l.msg.GetTo() == uint64(p.cut))
	switch c := p.r.IntN(20); {
	case c == 0 && !lost: // stays on the wire, to come again
	default:
		p.w.net = append(p.w.net[:i:i], p.w.net[i+1:]...)
		if c == 1 || lost {
			p.w.report(l, false)
			return
		}
	}
	p.w.deliver(l)
}

// produce asks a leader, most of the time, and now and then another.
func (p *player) produce(n *node) {
	for _, l := range p.w.nodes {
		if p.r.IntN(4) > 0 && l.mind.Role().Leader {
			n = l
		}
	}
	if p.r.IntN(3) == 0 {
		p.idem.send(n)
	} else {
		p.value++
		_ = p.w.produce(n, batch(fmt.Sprintf("v%d", p.value), int32(1+p.r.IntN(4))))
	}
	if p.r.IntN(2) == 0 {
		p.w.take(n)
	}
}

// lost forgets requests that a crash left without an answer: the caller would
// have lost its connection. Those of live leaders are answered by them.
func (p *player) lost() {
	live := map[int]bool{}
	for _, n := range p.w.nodes {
		waiting := n.mind.pending
		if n.mind.bundle != nil {
			waiting = append(slices.Clone(waiting), n.mind.bundle)
		}
		for _, q := range waiting {
			for i := range q.items {
				live[q.items[i].token.(int)] = true
				for _, t := range q.items[i].again {
					live[t.(int)] = true
				}
			}
		}
		for _, d := range n.mind.doubts {
			live[d.token.(int)] = true
		}
		for _, a := range n.mind.answers {
			live[a.Token.(int)] = true
		}
	}
	for t := range p.w.asked {
		if !live[t] {
			delete(p.w.asked, t)
			p.idem.heard(t, codec.E(codec.Unknown))
		}
	}
}

// quiet ends all trouble and waits until all replicas have the same log.
func (p *player) quiet() {
	w := p.w
	p.cut = 0
	for range 40 * ElectionTicks {
		for _, n := range w.nodes {
			n.mind.Tick()
			w.take(n)
		}
		w.stabilize()
	}
	first := w.nodes[0]
	for _, n := range w.nodes {
		require.Equal(w.t, first.disk.last(), n.disk.last(), "replica %d did not catch up", n.id)
		require.Equal(w.t, n.disk.last(), n.mind.Commit())
		require.Equal(w.t, first.mind.Next(), n.mind.Next())
		require.Equal(w.t, first.mind.Producers().Export(nil), n.mind.Producers().Export(nil))
	}
	require.Empty(w.t, w.asked, "requests without an answer")
	checkLog(w)
}

// checkLog reads the agreed log from its beginning: offsets are contiguous,
// append times never go back, and every acknowledged batch is there.
func checkLog(w *world) {
	var next codec.Offset
	var time codec.Millis
	found := 0
	for i := codec.Index(2); w.log[i].Index == i; i++ {
		run, ok, err := codec.ParseBatchEntry(w.log[i].Data)
		require.NoError(w.t, err)
		if !ok || w.log[i].Type != raftpb.EntryNormal {
			continue
		}
		for k := range run.Len() {
			d := run.At(k)
			require.Equal(w.t, next, d.BaseOffset, "offsets are not contiguous")
			require.GreaterOrEqual(w.t, d.AppendTime, time)
			next, time = d.Limit(), d.AppendTime
			require.False(w.t, w.never[d.CRC] && d.ProducerID < 0, "the batch at offset %d was said never to have been proposed", d.BaseOffset)
			if crc, ok := w.acked[d.BaseOffset]; ok {
				require.Equal(w.t, crc, d.CRC, "acknowledged batch at offset %d is another", d.BaseOffset)
				found++
			}
		}
	}
	require.Len(w.t, w.acked, found, "acknowledged batches are missing")
	require.Equal(w.t, w.nodes[0].mind.Next(), next)
}

// retrier is an idempotent producer as a client would be: five batches in
// flight, in order, sent again from the first one that was not acknowledged
// whenever one is refused or its outcome is not known.
type retrier struct {
	w      *world
	cursor int          // the next batch to send
	first  int          // the first one not acknowledged
	flying map[int]int  // token to batch
	done   map[int]bool // acknowledged
	again  int          // how often it began again
}

const retrierID = 9

// batchOf makes batch i.
func (p *retrier) batchOf(i int) codec.Batch {
	return producerBatch(fmt.Sprintf("i%d", i), 3, retrierID, 0, int32(3*i))
}

func (p *retrier) send(n *node) {
	if p.cursor-p.first >= BatchesRemembered {
		return
	}
	i := p.cursor
	p.cursor++
	p.flying[p.w.tokens+1] = i
	err := p.w.produce(n, p.batchOf(i))
	if err == nil {
		return
	}
	require.NotContains(p.w.t, []codec.Code{codec.Fenced, codec.DuplicateSequence}, codec.CodeOf(err), "%v", err)
	p.heard(p.w.tokens, err)
}

func (p *retrier) heard(token int, err error) {
	i, mine := p.flying[token]
	if !mine {
		return
	}
	delete(p.flying, token)
	if err != nil {
		p.again++
		p.cursor = p.first
		return
	}
	p.done[i] = true
	for p.done[p.first] {
		p.first++
	}
	p.cursor = max(p.cursor, p.first)
}

// check finds each batch once, in order, in the agreed log.
func (p *retrier) check() {
	next := 0
	for i := codec.Index(2); p.w.log[i].Index == i; i++ {
		run, _, _ := codec.ParseBatchEntry(p.w.log[i].Data)
		for k := range run.Len() {
			if d := run.At(k); d.ProducerID == retrierID {
				require.Equal(p.w.t, p.batchOf(next).CRC(), d.CRC, "batch %d of the idempotent producer", next)
				next++
			}
		}
	}
	require.GreaterOrEqual(p.w.t, next, p.first)
	for i := range p.done {
		require.Less(p.w.t, i, next)
	}
}
