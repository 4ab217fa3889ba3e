package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// siegeClients is how many hostile clients there are at a time; siegeNice is
// how much their process leaves the cores to others, for on another machine
// it would leave them alone.
const siegeClients, siegeNice = 20, 19

// fortress makes what hostile clients are let loose on, and other topics of
// one partition.
func fortress(t testing.TB, ctx context.Context, broker *Broker, others ...codec.Topic) {
	c, err := client.Dial(ctx, []string{broker.Address}, client.Options{})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.CreateTopic(ctx, codec.CreateTopic{Topic: besiegedTopic, Partitions: 2})
	require.NoError(t, err)
	for _, topic := range others {
		_, err = c.CreateTopic(ctx, codec.CreateTopic{Topic: topic, Partitions: 1})
		require.NoError(t, err)
	}
	const each = 1<<20 - 200
	for range besiegedBytes / each {
		done := make(chan error, 1)
		require.NoError(t, c.ProduceBatch(ctx, besieged1, ready(each), func(_ codec.Produced, err error) { done <- err }))
		require.NoError(t, <-done)
	}
}

// besiegedPeak is the most that the broker may have in memory beside hostile
// clients, bytes: what the door lets all of them hold (bytes_in_flight_all and
// answer_bytes), and its own.
const besiegedPeak = (512 + 256 + 64) << 20

// TestHostileClientsFromOutside lets hostile clients loose on a real broker
// from a process of their own, beside one that behaves well: each of its
// records is acknowledged once, stays in order and can be read; the broker
// stays up and within its memory. How long answers take is
// BenchmarkFigureHostile.
func TestHostileClientsFromOutside(t *testing.T) {
	ctx := patience(t, 2*time.Minute)
	good := []topic{{"good", 2, nil}}
	s, err := newStage(ctx, options(t, 1), good)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.end()) })
	fortress(t, ctx, s.broker)
	stop, err := besiege(ctx, siegeJob{Address: s.broker.Address, Clients: siegeClients, Breath: 20 * time.Millisecond, Nice: siegeNice})
	require.NoError(t, err)
	require.NoError(t, s.load.start(ctx, good[0], 1, (*sender).records))
	s.poller, err = startPoller(ctx, s.rec, at(s.broker.Address), "poller", good, false)
	require.NoError(t, err)
	require.NoError(t, s.await(ctx, s.rec.afterAcked(500), "500 records"))
	crowd, err := stop()
	require.NoError(t, err)
	require.Greater(t, crowd.Visits, int64(len(visits)))
	u, err := ReadUsage(s.broker.PID())
	require.NoError(t, err)
	r, err := s.finish(ctx)
	t.Logf("%d hostile visits, peak %d MB; %v", crowd.Visits, u.Peak/1e6, r)
	require.NoError(t, err)
	require.Zero(t, r.Unknown+r.Failed)
	require.Equal(t, r.Acked, r.Audited)
	require.Less(t, u.Peak, int64(besiegedPeak), fmt.Sprint(u))
	require.NoError(t, s.broker.Stop(StopWithin))
}
