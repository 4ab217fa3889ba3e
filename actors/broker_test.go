package actors

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func startBroker(t testing.TB, dir string) *Broker {
	t.Helper()
	b, err := Start(context.Background(), Config{Dir: dir, Node: "n1"})
	require.NoError(t, err)
	return b
}

func closeBroker(t testing.TB, b *Broker) {
	t.Helper()
	require.NoError(t, b.Close(context.Background()))
}

type described struct {
	codec.TopicDescription
	err error
}

func createTopic(b *Broker, name codec.Topic, partitions int32, set map[string]string) described {
	got := make(chan described, 1)
	b.CreateTopic(codec.CreateTopic{Topic: name, Partitions: partitions, Settings: set}, func(d codec.TopicDescription, err error) { got <- described{d, err} })
	return <-got
}

func produceTo(t testing.TB, b *Broker, tp codec.TopicPartition, batch codec.Batch) outcome {
	t.Helper()
	h, err := b.Partition(tp)
	require.NoError(t, err)
	got := make(chan outcome, 1)
	if err := h.Produce(context.Background(), batch, func(p codec.Produced, err error) { got <- outcome{p, err} }); err != nil {
		return outcome{err: err}
	}
	return <-got
}

func TestABrokerKeepsItsTopics(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, b.Ready())
	require.Empty(t, b.Topics())
	d := createTopic(b, "orders", 6, map[string]string{"segment.bytes": "1MiB"})
	require.NoError(t, d.err)
	require.Len(t, d.Partitions, 6)
	for _, p := range d.Partitions {
		require.Equal(t, codec.NodeID("n1"), p.Leader)
		require.Positive(t, p.Epoch)
	}
	for i := range codec.Partition(6) {
		for range i + 1 {
			require.NoError(t, produceTo(t, b, codec.TopicPartition{Topic: "orders", Partition: i}, batchOf(t, 10, 50)).err)
		}
	}
	cluster, node := b.Identity()
	closeBroker(t, b)

	b = startBroker(t, dir)
	again, name := b.Identity()
	require.Equal(t, cluster, again)
	require.Equal(t, node, name)
	d2, err := b.Topic("orders")
	require.NoError(t, err)
	require.Equal(t, d.ID, d2.ID)
	for i, p := range d2.Partitions {
		require.Equal(t, codec.Offset(10*(i+1)), p.HighWatermark)
		require.Greater(t, p.Epoch, d.Partitions[i].Epoch)
	}
	closeBroker(t, b)
}

func TestTopicsAreRefusedWithReasons(t *testing.T) {
	b := startBroker(t, t.TempDir())
	require.NoError(t, createTopic(b, "t", 2, nil).err)
	for _, c := range []struct {
		name codec.Topic
		set  map[string]string
		want string
	}{
		{"t", nil, "TOPIC_EXISTS: topic t exists"},
		{"a/b", nil, `INVALID_TOPIC: topic name "a/b" has '/': only a-z A-Z 0-9 . _ - are allowed`},
		{"__mine", nil, `INVALID_TOPIC: topic name "__mine": names that begin with __ belong to the broker`},
		{"u", map[string]string{"colour": "red"}, "INVALID_SETTING"},
	} {
		require.ErrorContains(t, createTopic(b, c.name, 1, c.set).err, c.want)
	}
	_, err := b.Partition(codec.TopicPartition{Topic: "t", Partition: 2})
	require.EqualError(t, err, `UNKNOWN_PARTITION: topic "t" has no partition 2: it has 2, counted from 0`)
	_, err = b.Partition(codec.TopicPartition{Topic: "nope"})
	require.EqualError(t, err, `UNKNOWN_TOPIC: there is no topic "nope": create it first`)
	closeBroker(t, b)
}

// What no state allows is not written into the log of the metadata to be refused there.
func TestSettingsThatNobodyAllowsAreNotWritten(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	before := written(t, replicaDir(dir, 1, 1))
	long := map[string]string{"colour": strings.Repeat("red", 100_000)}
	for range 5 {
		require.ErrorContains(t, createTopic(b, "u", 1, long).err, "INVALID_SETTING")
		got := make(chan error, 1)
		b.AlterTopic(codec.AlterTopic{Topic: "t", Settings: long}, func(_ codec.TopicDescription, err error) { got <- err })
		require.ErrorContains(t, <-got, "INVALID_SETTING")
	}
	closeBroker(t, b)
	require.Less(t, written(t, replicaDir(dir, 1, 1))-before, int64(300_000))
}

// written is how many bytes the files below dir have.
func written(t *testing.T, dir string) (bytes int64) {
	require.NoError(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	}))
	return bytes
}

func TestADeletedTopicIsGoneAndItsNameFree(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	first := createTopic(b, "t", 3, nil)
	require.NoError(t, first.err)
	tp := codec.TopicPartition{Topic: "t"}
	require.NoError(t, produceTo(t, b, tp, batchOf(t, 10, 50)).err)
	h, err := b.Partition(tp)
	require.NoError(t, err)
	done := make(chan error, 1)
	b.DeleteTopic("t", func(err error) { done <- err })
	require.NoError(t, <-done)
	second := createTopic(b, "t", 1, nil)
	require.NoError(t, second.err)
	require.NotEqual(t, first.ID, second.ID)
	require.Zero(t, second.Partitions[0].HighWatermark)
	late := make(chan error, 1)
	if err := h.Produce(context.Background(), batchOf(t, 1, 10), func(_ codec.Produced, err error) { late <- err }); err != nil {
		late <- err
	}
	require.Error(t, <-late, "an old handle is of the old incarnation")
	closeBroker(t, b)
	// What the tombstones name is removed at the latest by the next start.
	b = startBroker(t, dir)
	closeBroker(t, b)
	list, err := filepath.Glob(filepath.Join(dir, "g*"))
	require.NoError(t, err)
	require.Len(t, list, 2, "metadata and one partition: %v", list)
}

func TestAlteredSettingsHoldAtOnce(t *testing.T) {
	b := startBroker(t, t.TempDir())
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	tp := codec.TopicPartition{Topic: "t"}
	require.NoError(t, produceTo(t, b, tp, batchOf(t, 10, 500)).err)
	got := make(chan described, 1)
	b.AlterTopic(codec.AlterTopic{Topic: "t", Partitions: 3, Settings: map[string]string{"message.bytes.max": "2KiB"}}, func(d codec.TopicDescription, err error) { got <- described{d, err} })
	d := <-got
	require.NoError(t, d.err)
	require.Len(t, d.Partitions, 3)
	err := produceTo(t, b, tp, batchOf(t, 10, 500)).err
	require.Equal(t, codec.RecordTooLarge, codec.CodeOf(err))
	require.ErrorContains(t, err, "2048")
	require.NoError(t, produceTo(t, b, codec.TopicPartition{Topic: "t", Partition: 2}, batchOf(t, 1, 500)).err)
	closeBroker(t, b)
}

func TestADirectoryIsHeldByOneBroker(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	_, err := Start(context.Background(), Config{Dir: dir, Node: "n1"})
	require.ErrorContains(t, err, "is a broker running on this directory?")
	closeBroker(t, b)
	_, err = Start(context.Background(), Config{Dir: dir, Node: "n2"})
	require.ErrorContains(t, err, `belongs to node "n1", not "n2"`)
}

func TestALostDirectoryIsNotMadeAgain(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, createTopic(b, "t", 2, nil).err)
	closeBroker(t, b)
	require.NoError(t, os.RemoveAll(replicaDir(dir, 2, 2)))
	b = startBroker(t, dir)
	o := produceTo(t, b, codec.TopicPartition{Topic: "t"}, batchOf(t, 1, 10))
	require.Equal(t, codec.CorruptLog, codec.CodeOf(o.err), "%v", o.err)
	require.NoError(t, produceTo(t, b, codec.TopicPartition{Topic: "t", Partition: 1}, batchOf(t, 1, 10)).err, "the other partition goes on")
	altered := make(chan described, 1)
	b.AlterTopic(codec.AlterTopic{Topic: "t", Settings: map[string]string{"retention.time": "1h"}}, func(d codec.TopicDescription, err error) { altered <- described{d, err} })
	d := <-altered
	require.NoError(t, d.err, "it was decided, whatever became of a partition")
	require.Equal(t, "1h", d.Settings["retention.time"])
	require.Empty(t, d.Partitions[0].Leader)
	closeBroker(t, b)
	require.NoError(t, os.RemoveAll(replicaDir(dir, 1, 1)))
	_, err := Start(context.Background(), Config{Dir: dir, Node: "n1"})
	require.ErrorContains(t, err, "has lost its metadata")
}

func TestMetadataIsSnapshotAndCut(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir)
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	for i := range 2*snapshotEvery + 100 {
		got := make(chan error, 1)
		b.AlterTopic(codec.AlterTopic{Topic: "t", Settings: map[string]string{"retention.time": fmt.Sprintf("%dh", i+1)}}, func(_ codec.TopicDescription, err error) { got <- err })
		require.NoError(t, <-got)
	}
	revision := b.Metadata().Revision
	closeBroker(t, b)
	snaps, err := os.ReadDir(filepath.Join(replicaDir(dir, 1, 1), "snap"))
	require.NoError(t, err)
	require.Len(t, snaps, 2)
	b = startBroker(t, dir)
	require.Equal(t, revision+1, b.Metadata().Revision, "and it registered")
	require.Equal(t, fmt.Sprintf("%dh", 2*snapshotEvery+100), b.Topics()[0].Settings["retention.time"])
	closeBroker(t, b)
}
