package client

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// restarter is a real broker with a door, that is closed and started again.
type restarter struct {
	t       *testing.T
	dir     string
	address string
	broker  *actors.Broker
	cut     func()
}

func (r *restarter) start() {
	b, err := actors.Start(r.t.Context(), actors.Config{Dir: r.dir, Node: "n1"})
	require.NoError(r.t, err)
	r.broker = b
	r.address, r.cut = serve(r.t, realBroker{b}, r.address)
}

func (r *restarter) stop() {
	r.cut()
	require.NoError(r.t, r.broker.Close(context.Background()))
}

// A real broker that is restarted, behind a proxy that cuts connections at any
// place of any frame: every record of an idempotent producer is stored once, where
// it was told to be, and those of a key in the order in which they were sent.
func TestARealBrokerBehindCutsAndRestarts(t *testing.T) {
	seed := givenSeed()
	t.Logf("TROUPE_CLIENT_SEED=%d go test -count=1 -run '^TestARealBrokerBehindCutsAndRestarts$' ./gateway/client", seed)
	r := &restarter{t: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	r.start()
	defer func() { r.stop() }()
	_, err := dial(t, Options{}, r.address).CreateTopic(t.Context(), codec.CreateTopic{Topic: "t", Partitions: 3})
	require.NoError(t, err)
	s := newShears(t, r.address, seed)
	c := untilDialed(t, s)
	var p *Producer
	for err := error(io.EOF); err != nil; {
		p, err = c.Producer(t.Context(), "t", ProducerOptions{Linger: -1, BatchBytes: 2000, BufferBytes: 60_000})
	}
	f := newFates()
	const n, restarts = 9000, 4
	for i := range n {
		record := codec.Record{Key: fmt.Append(nil, i%70), Value: fmt.Append(nil, i)}
		require.NoError(t, p.Produce(t.Context(), record, f.tell(i)))
		if i%(n/restarts) == n/restarts/2 {
			r.stop()
			r.start()
		}
	}
	s.rests.Store(true)
	require.NoError(t, p.Close(t.Context()))
	c.Close()
	require.Len(t, f.stored, n)
	require.Greater(t, s.cuts.Load(), int32(5))

	seen, last := map[int]bool{}, map[string]int{}
	everything(t, dial(t, Options{}, r.address), 3, func(record codec.Record) {
		i, err := strconv.Atoi(string(record.Value))
		require.NoError(t, err)
		require.False(t, seen[i], "record %d is stored twice", i)
		seen[i] = true
		require.Equal(t, record.Offset, f.stored[i], "record %d", i)
		if before, ok := last[string(record.Key)]; ok {
			require.Less(t, before, i, "key %s", record.Key)
		}
		last[string(record.Key)] = i
	})
	require.Len(t, seen, n)
	for at := range 3 {
		require.Zero(t, p.lane(at).numbers.who.Epoch, "nothing was given up")
	}
	t.Logf("%d cuts, %d restarts: %d records stored, once and in order", s.cuts.Load(), restarts, len(seen))
}

// everything reads all that partitions of topic t hold, one after the other.
func everything(t *testing.T, c *Client, partitions int, see func(codec.Record)) {
	for n := range codec.Partition(partitions) {
		_, high, err := c.Offsets(t.Context(), codec.TopicPartition{Topic: "t", Partition: n})
		require.NoError(t, err)
		r := c.Read("t", []Span{{n, 0, high}}, ReadOptions{})
		defer r.Close()
		for {
			_, record, err := r.Next(t.Context())
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			see(*record)
		}
	}
}
