package client

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// planned is a broker with one partition that asks plan what to do with each batch.
func planned(t *testing.T, plan func(codec.Batch) error) (*Client, *log) {
	m := newMemory("t", 1)
	l := m.topics["t"][0]
	l.plan = plan
	addr, _ := serve(t, m, "127.0.0.1:0")
	return dial(t, Options{}, addr), l
}

// stored are the values of a log's records.
func (l *log) stored(t *testing.T) (values []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		section, err := b.Open(1 << 20)
		require.NoError(t, err)
		for rs := b.Records(section); rs.Next(); {
			values = append(values, string(rs.Record().Value))
		}
	}
	return values
}

// What a producer does about each code of the table is what the table says:
// retriable ones are sent again until they are stored, others are told at
// once, and UNKNOWN is sent again by an idempotent producer, as is what its log
// has lost track of, or by who may store twice.
func TestWhatIsSentAgain(t *testing.T) {
	for _, code := range codec.Codes() {
		for _, o := range []ProducerOptions{{}, {NoRetry: true}, {NotIdempotent: true}, {NotIdempotent: true, MayStoreTwice: true}} {
			if code == codec.OK {
				continue
			}
			var sent atomic.Int32
			c, l := planned(t, func(codec.Batch) error {
				if sent.Add(1) <= 2 {
					return codec.Errorf(code, "as planned")
				}
				return nil
			})
			p, err := c.Producer(t.Context(), "t", o)
			require.NoError(t, err)
			told := make(chan error, 2)
			require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
			idempotent := !o.NoRetry && !o.NotIdempotent
			again := code.Retriable() || code == codec.Unknown && (o.MayStoreTwice || idempotent) || code == codec.SequenceGap && idempotent
			if again && !o.NoRetry {
				require.NoError(t, <-told, code)
				require.NoError(t, p.Close(t.Context()))
				require.Equal(t, []string{"x"}, l.stored(t), code)
				require.Equal(t, int32(3), sent.Load(), code)
			} else {
				require.ErrorIs(t, <-told, codec.E(code))
				require.ErrorIs(t, p.Close(t.Context()), codec.E(code))
				require.Equal(t, int32(1), sent.Load(), code)
			}
			require.Empty(t, told, "told once")
			c.Close() // a link lets go a little behind the answer
			require.Zero(t, p.room.bytes())
		}
	}
}

// refuser refuses three batches of ten for now. It knows what was refused,
// and is asked in the order of the requests.
type refuser struct {
	mu      sync.Mutex
	chance  *rand.Rand
	refused atomic.Int32
}

func (r *refuser) plan(codec.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chance.IntN(10) < 3 {
		r.refused.Add(1)
		return codec.Errorf(codec.Overloaded, "as planned")
	}
	return nil
}

// With one batch in flight, order is kept whatever is refused. With more, a
// batch that was refused is stored behind those that were in flight with it,
// at most, and nothing is lost or doubled.
func TestOrderWhileBatchesAreRefused(t *testing.T) {
	for _, window := range []int{1, 8} {
		r := &refuser{chance: rand.New(rand.NewPCG(4, uint64(window)))}
		c, l := planned(t, r.plan)
		p, err := c.Producer(t.Context(), "t", ProducerOptions{MaxInFlight: window, BatchBytes: 100, Linger: -1, NotIdempotent: true})
		require.NoError(t, err)
		p.lane(0).pause.InitialInterval = time.Microsecond
		const n = 500 // records, each a batch of its own
		for i := range n {
			require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: fmt.Appendf(nil, "%060d", i)}, nil))
		}
		require.NoError(t, p.Close(t.Context()))
		require.Greater(t, r.refused.Load(), int32(20))
		seen := map[int]bool{}
		for at, value := range l.stored(t) {
			i, err := strconv.Atoi(value)
			require.NoError(t, err)
			require.False(t, seen[i], "stored twice")
			seen[i] = true
			require.Less(t, max(at-i, i-at), window, "record %d is in place %d", i, at)
		}
		require.Len(t, seen, n)
	}
}

func (p *Producer) lane(n int) *lane { return (*p.lanes.Load())[n] }

// A record is told by its deadline, with the code that kept it.
func TestADeadlineEndsRetries(t *testing.T) {
	c, l := planned(t, func(codec.Batch) error { return codec.Errorf(codec.DiskFull, "no room") })
	p, err := c.Producer(t.Context(), "t", ProducerOptions{DeliverWithin: 100 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, p.Produce(t.Context(), codec.Record{}, nil))
	err = p.Flush(t.Context())
	require.ErrorIs(t, err, codec.E(codec.DiskFull))
	require.NoError(t, p.Close(t.Context()))
	require.Empty(t, l.stored(t))
}

// A server that takes everything and answers nothing: records end UNKNOWN by
// their deadline, memory stays within its bound, and Close ends.
func TestAServerThatNeverAnswers(t *testing.T) {
	c, p, l := held(t, ProducerOptions{DeliverWithin: 50 * time.Millisecond, BatchBytes: 1000, BufferBytes: 20_000, MaxInFlight: 4})
	told := make(chan error, 100)
	ctx := t.Context()
	for range 20 {
		require.NoError(t, p.Produce(ctx, codec.Record{Value: make([]byte, 900)}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
		require.LessOrEqual(t, p.room.bytes(), 20_000)
	}
	codes := map[codec.Code]int{}
	for range 20 {
		codes[codec.CodeOf(<-told)]++
	}
	require.Equal(t, map[codec.Code]int{codec.Unknown: 4, codec.TimedOut: 16}, codes)
	for p.room.bytes() > 4*1000 { // a parcel lets go behind the last word to it
		runtime.Gosched()
	}
	require.Equal(t, 4*1000, p.room.bytes(), "what a link holds counts until it lets go")
	require.ErrorIs(t, p.Close(ctx), codec.E(codec.Unknown))
	l.release()
	require.NoError(t, c.Ping(ctx))
	c.Close()
	require.Zero(t, p.room.bytes())
}

// Fewer slots than lanes: each partition gets its turn.
func TestALinkWithFewSlots(t *testing.T) {
	m := newMemory("t", 50)
	addr, _ := serveWith(t, m, 3)
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Partitioner: RoundRobin(), Linger: -1})
	require.NoError(t, err)
	for range 2000 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1}, nil))
	}
	require.NoError(t, p.Close(t.Context()))
	for _, l := range m.topics["t"] {
		require.Len(t, l.stored(t), 40)
	}
}

// A topic that grows is noticed by the age of what is known of it.
func TestPartitionsThatWereAdded(t *testing.T) {
	m := newMemory("t", 1)
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{MetadataAge: time.Millisecond}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Partitioner: RoundRobin()})
	require.NoError(t, err)
	require.Equal(t, 1, p.Partitions())
	m.mu.Lock()
	m.make("t", 2)
	m.mu.Unlock()
	for p.Partitions() < 3 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{}, nil))
		require.NoError(t, p.Flush(t.Context()))
	}
	require.NoError(t, p.ProduceTo(t.Context(), 2, codec.Record{Value: []byte("new")}, nil))
	require.NoError(t, p.Close(t.Context()))
	require.Contains(t, m.topics["t"][2].stored(t), "new")
}

// Two producers that ask at the same time are told both.
func TestPartitionsThatWereAddedAreToldToEachProducer(t *testing.T) {
	m := newMemory("t", 1)
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	var all [2]*Producer
	for i := range all {
		var err error
		all[i], err = c.Producer(t.Context(), "t", ProducerOptions{})
		require.NoError(t, err)
	}
	m.mu.Lock() // the broker says nothing yet
	m.make("t", 2)
	for _, p := range all {
		c.refresh("t", p)
	}
	m.mu.Unlock()
	for asking := true; asking; {
		c.mu.Lock()
		_, asking = c.asking["t"]
		c.mu.Unlock()
	}
	c.Close() // whoever was asking has told
	for _, p := range all {
		require.Equal(t, 3, p.Partitions())
		require.NoError(t, p.Close(t.Context()))
	}
}
