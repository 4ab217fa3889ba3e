package client

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// shears is a proxy that cuts each connection after a number of bytes from
// either side that chance chooses, at any place of any frame, until it rests.
type shears struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup
	rests    atomic.Bool
	long     atomic.Bool // most bytes come from the server
	first    int64       // when not 0: the first connection ends after so many bytes of the server's, the others do not
	cuts     atomic.Int32

	mu     sync.Mutex
	chance *rand.Rand
	conns  []net.Conn
}

func newShears(t *testing.T, to string, seed uint64) *shears {
	return startShears(t, &shears{to: to, chance: rand.New(rand.NewPCG(seed, 7))})
}

// newShearsAt cuts the first connection behind the n-th byte of the server's.
func newShearsAt(t *testing.T, to string, n int64) *shears {
	return startShears(t, &shears{to: to, chance: rand.New(rand.NewPCG(1, 7)), first: n})
}

func startShears(t *testing.T, s *shears) *shears {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.listener = l
	s.running.Go(s.accept)
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.running.Wait()
	})
	return s
}

func (s *shears) accept() {
	for n := 0; ; {
		here, err := s.listener.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", s.to)
		if err != nil {
			_ = here.Close()
			continue
		}
		s.mu.Lock()
		s.conns = append(s.conns, here, there)
		s.mu.Unlock()
		most, back := int64(12_000), int64(2_000)
		if s.long.Load() {
			most, back = 4_000, 20_000
		}
		up, down := s.length(most), s.length(back)
		if s.first > 0 {
			up, down = endless, endless
			if n++; n == 1 {
				down = s.first
			}
		}
		s.running.Go(func() { s.pass(here, there, up) })
		s.running.Go(func() { s.pass(there, here, down) })
	}
}

// endless is more than any connection passes.
const endless = 1 << 40

// length is how many bytes pass, at most most, or without end when it rests.
func (s *shears) length(most int64) int64 {
	if s.rests.Load() {
		return endless
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Int64N(most)
}

// pass copies n bytes, then ends both.
func (s *shears) pass(from, to net.Conn, n int64) {
	if copied, _ := io.CopyN(to, from, n); copied == n {
		s.cuts.Add(1)
	}
	_ = from.Close()
	_ = to.Close()
}

// fates counts what records of a producer ended as.
type fates struct {
	mu      sync.Mutex
	stored  map[int]codec.Offset
	unknown map[int]bool
	refused map[int]error
}

func newFates() *fates {
	return &fates{stored: map[int]codec.Offset{}, unknown: map[int]bool{}, refused: map[int]error{}}
}

func (f *fates) tell(i int) Done {
	return func(_ codec.Partition, at codec.Offset, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case err == nil:
			f.stored[i] = at
		case codec.CodeOf(err) == codec.Unknown:
			f.unknown[i] = true
		default:
			f.refused[i] = err
		}
	}
}

// Connections that are cut anywhere: what was acknowledged is stored where it
// was said to be; what was refused is not; each record has one fate. An
// idempotent producer stores everything, once and in order. Without, nothing is
// doubled. With MayStoreTwice nothing is UNKNOWN, and all is stored once at
// least.
func TestConnectionsThatAreCutAnywhere(t *testing.T) {
	seed := givenSeed()
	for name, o := range map[string]ProducerOptions{"idempotent": {}, "NotIdempotent": {NotIdempotent: true}, "MayStoreTwice": {NotIdempotent: true, MayStoreTwice: true}} {
		t.Run(name, func(t *testing.T) {
			t.Logf("TROUPE_CLIENT_SEED=%d go test -count=1 -run '^TestConnectionsThatAreCutAnywhere$' ./gateway/client", seed)
			cutAnywhere(t, seed, o)
		})
	}
}

func cutAnywhere(t *testing.T, seed uint64, o ProducerOptions) {
	m := newMemory("t", 3)
	addr, _ := serve(t, m, "127.0.0.1:0")
	s := newShears(t, addr, seed)
	c := untilDialed(t, s)
	var p *Producer
	for err := error(io.EOF); err != nil; {
		o.Linger, o.BatchBytes, o.BufferBytes, o.Partitioner = -1, 2000, 30_000, RoundRobin()
		p, err = c.Producer(t.Context(), "t", o)
	}
	f := newFates()
	const n = 3000
	for i := range n {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: fmt.Appendf(nil, "%d", i)}, f.tell(i)))
		if i%100 == 0 && i < n*9/10 {
			_ = p.Flush(t.Context())
		}
	}
	s.rests.Store(true)
	_ = p.Close(t.Context()) // each record was told its own
	c.Close()
	require.Greater(t, s.cuts.Load(), int32(5))
	require.Equal(t, n, len(f.stored)+len(f.unknown)+len(f.refused))
	f.judge(t, m.topics["t"], o.MayStoreTwice, "")
	if p.idempotent {
		require.Len(t, f.stored, n)
		for _, l := range m.topics["t"] {
			inOrder(t, l.stored(t), "")
		}
	}
	t.Logf("%d cuts; %d stored, %d unknown, %d refused", s.cuts.Load(), len(f.stored), len(f.unknown), len(f.refused))
}

func untilDialed(t *testing.T, s *shears) *Client {
	for {
		c, err := Dial(t.Context(), []string{s.listener.Addr().String()}, Options{})
		if err == nil {
			t.Cleanup(c.Close)
			return c
		}
	}
}

// judge holds what producers were told against what is there.
func (f *fates) judge(t *testing.T, logs []*log, twice bool, says string) {
	copies := map[int]int{}
	at := map[int]map[codec.Offset]bool{}
	for _, l := range logs {
		for offset, value := range l.stored(t) {
			i, err := strconv.Atoi(value)
			require.NoError(t, err, says)
			copies[i]++
			if at[i] == nil {
				at[i] = map[codec.Offset]bool{}
			}
			at[i][codec.Offset(offset)] = true
		}
	}
	for i, offset := range f.stored {
		require.True(t, at[i][offset], "record %d was acknowledged at %d and is not there %s", i, offset, says)
	}
	for i, err := range f.refused {
		require.Zero(t, copies[i], "record %d was refused and is there: %v %s", i, err, says)
	}
	for i, n := range copies {
		require.True(t, twice || n == 1, "record %d is there %d times %s", i, n, says)
	}
	if twice {
		require.Empty(t, f.unknown)
		require.Empty(t, f.refused)
	}
}
