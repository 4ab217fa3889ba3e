package actors

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// descriptors counts the files that this process has open.
func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

func TestABrokerGivesBackWhatItTook(t *testing.T) {
	dir := t.TempDir()
	cycle := func(name string) {
		b := startBroker(t, dir)
		require.NoError(t, createTopic(b, "t", 4, map[string]string{"segment.bytes": "1MiB"}).err)
		for range 20 {
			require.NoError(t, produceTo(t, b, codec.TopicPartition{Topic: "t", Partition: 1}, batchOf(t, 10, 20_000)).err)
		}
		h, err := b.Partition(codec.TopicPartition{Topic: "t", Partition: 1})
		require.NoError(t, err)
		for o := range 200 {
			_, err := h.Read(nil, codec.Offset(o), 1000)
			require.NoError(t, err, name)
		}
		done := make(chan error, 1)
		b.DeleteTopic("t", func(err error) { done <- err })
		require.NoError(t, <-done)
		closeBroker(t, b)
	}
	cycle("warm")
	before := descriptors(t)
	for range 3 {
		cycle("again")
	}
	require.LessOrEqual(t, descriptors(t), before, "descriptors leak")
}

// Whoever closes a broker that is still starting, or burying, gets it closed.
func TestABrokerClosesAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, createTopic(b, "t", 20, nil).err)
	closeBroker(t, b)
	for i := range 40 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*200*time.Microsecond)
		b, err := Start(ctx, Config{Dir: dir, Node: "n1"})
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			continue
		}
		closeBroker(t, b)
	}
	for range 30 {
		b := startBroker(t, dir)
		require.NoError(t, createTopic(b, "u", 3, nil).err)
		done := make(chan error, 1)
		b.DeleteTopic("u", func(err error) { done <- err })
		require.NoError(t, <-done)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		require.NoError(t, b.Close(ctx), "a replica that is being buried")
		cancel()
	}
}

// descriptorsOf is how many descriptors of this process are of one file.
func descriptorsOf(t *testing.T, name string) (n int) {
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range list {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == name {
			n++
		}
	}
	return n
}

// Topics that come and go leave nothing behind in the disk port.
func TestABuriedReplicaHasNoLane(t *testing.T) {
	b := startBroker(t, t.TempDir())
	lanes := b.house.port.Lanes()
	for range 3 {
		require.NoError(t, createTopic(b, "t", 20, nil).err)
		require.Equal(t, lanes+20, b.house.port.Lanes())
		done := make(chan error, 1)
		b.DeleteTopic("t", func(err error) { done <- err })
		require.NoError(t, <-done)
		require.Eventually(t, func() bool { return len(b.Metadata().Tombstones) == 0 && b.house.port.Lanes() == lanes }, 10*time.Second, time.Millisecond)
	}
	closeBroker(t, b)
}
