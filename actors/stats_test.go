package actors

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// of are the stats of one partition.
func (s Stats) of(t testing.TB, tp codec.TopicPartition) PartitionStats {
	t.Helper()
	for _, p := range s.Partitions {
		if p.Name == tp {
			return p
		}
	}
	t.Fatalf("no stats of %v", tp)
	return PartitionStats{}
}

func (h Histogram) count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

func TestStatsCountWhatWasDone(t *testing.T) {
	b := startBroker(t, t.TempDir())
	require.NoError(t, createTopic(b, "u", 2, nil).err)
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	before := b.Stats()
	require.Equal(t, []codec.TopicPartition{{Topic: "t"}, {Topic: "u"}, {Topic: "u", Partition: 1}},
		[]codec.TopicPartition{before.Partitions[0].Name, before.Partitions[1].Name, before.Partitions[2].Name})
	require.EqualValues(t, 4, before.LeaderChanges, "the metadata's replica and three more")
	require.Zero(t, before.of(t, codec.TopicPartition{Topic: "t"}).Produced)

	tp := codec.TopicPartition{Topic: "u", Partition: 1}
	first, second := batchOf(t, 10, 50), batchOf(t, 7, 50)
	size := int64(len(first) + len(second))
	require.NoError(t, produceTo(t, b, tp, first).err)
	require.NoError(t, produceTo(t, b, tp, second).err)
	require.Error(t, produceTo(t, b, tp, make(codec.Batch, 100)).err)
	h, err := b.Partition(tp)
	require.NoError(t, err)
	_, err = h.Read(make([]byte, 5, 10), 4, 1<<20)
	require.NoError(t, err)
	_, err = h.Read(nil, 17, 1<<20) // the tail
	require.NoError(t, err)

	s := b.Stats()
	p := s.of(t, tp)
	require.Equal(t, Volume{2, 17, size}, p.Produced)
	require.Equal(t, Volume{2, 13, size}, p.Fetched, "a read from the middle of a batch gets the whole of it, and asked for a part")
	require.True(t, p.Leads)
	require.Equal(t, codec.OK, p.Trouble)
	require.Equal(t, []int{1, 1}, []int{p.Replicas, p.InSync})
	require.GreaterOrEqual(t, p.Bytes, size)
	require.Zero(t, s.of(t, codec.TopicPartition{Topic: "u"}).Produced)
	require.GreaterOrEqual(t, s.Disk.Fsyncs.count(), before.Disk.Fsyncs.count()+4, "a descriptor and a batch are fsynced, twice")
	require.Positive(t, s.Disk.Fsyncs.Sum)
	require.GreaterOrEqual(t, s.Disk.Written, before.Disk.Written+size)
	require.Equal(t, len(s.Disk.Fsyncs.Bounds)+1, len(s.Disk.Fsyncs.Counts))
	require.Zero(t, s.Disk.FsyncsFailed)
	require.Equal(t, CreditStats{Free: inFlightBytes, Max: inFlightBytes}, s.Credit)
	require.EqualValues(t, reserveBytes, s.DiskReserve)
	require.True(t, s.Metadata.Leads)

	gone := make(chan error, 1)
	b.DeleteTopic("u", func(err error) { gone <- err })
	require.NoError(t, <-gone)
	require.Len(t, b.Stats().Partitions, 1, "what is not there has no stats")
	closeBroker(t, b)
}

// The counts of a partition outlive the actor that made them.
func TestStatsOutliveAnActor(t *testing.T) {
	b := startBroker(t, t.TempDir())
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	tp := codec.TopicPartition{Topic: "t"}
	require.NoError(t, produceTo(t, b, tp, batchOf(t, 10, 50)).err)
	h, err := b.Partition(tp)
	require.NoError(t, err)
	poison(h)
	for produceTo(t, b, tp, batchOf(t, 1, 50)).err != nil { // until it is restarted
		runtime.Gosched()
	}
	s := b.Stats()
	require.EqualValues(t, 1, s.Restarts)
	require.EqualValues(t, 11, s.of(t, tp).Produced.Records)
	closeBroker(t, b)
}

// What a kill -9 left is damaged in its last batch, behind which nothing was
// written: the one case that cannot be told from a torn write is counted.
func TestStatsCountCuts(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	require.NoError(t, produceTo(t, b, codec.TopicPartition{Topic: "t"}, batchOf(t, 10, 50)).err)
	require.Zero(t, b.Stats().Cuts)
	killed := t.TempDir()
	require.NoError(t, os.CopyFS(killed, os.DirFS(dir)))
	closeBroker(t, b)

	segments, err := filepath.Glob(filepath.Join(killed, "g2-*", "seg", "*"))
	require.NoError(t, err)
	require.Len(t, segments, 1)
	f, err := os.OpenFile(segments[0], os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("rot"), 100)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	b = startBroker(t, killed)
	s := b.Stats()
	require.EqualValues(t, 1, s.Cuts)
	require.EqualValues(t, 1, s.CutEntries)
	closeBroker(t, b)
}

func TestStatsOfCredit(t *testing.T) {
	clock := &handClock{now: 1000}
	c := newCredit(100, clock)
	require.NoError(t, c.take(context.Background(), 80))
	ctx, cancel := context.WithCancel(context.Background())
	late, patient := make(chan error, 1), make(chan error, 1)
	go func() { late <- c.take(ctx, 50) }()
	for c.stats().Waiting < 1 {
		runtime.Gosched()
	}
	go func() { patient <- c.take(context.Background(), 60) }()
	for c.stats().Waiting < 2 {
		runtime.Gosched()
	}
	clock.now += 250
	cancel()
	require.Error(t, <-late)
	c.give(80)
	require.NoError(t, <-patient)
	require.Equal(t, CreditStats{Free: 40, Max: 100, Waits: 2, Refused: 1, Waited: 500 * time.Millisecond}, c.stats())
}

// handClock is moved by hand.
type handClock struct {
	Clock
	now codec.Millis
}

func (c *handClock) Now() codec.Millis { return c.now }
