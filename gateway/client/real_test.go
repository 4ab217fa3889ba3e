package client

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// realBroker shows a broker to the gateway, as cmd/troupe does.
type realBroker struct{ *actors.Broker }

func (b realBroker) Identity() gateway.Identity {
	cluster, node := b.Broker.Identity()
	return gateway.Identity{Cluster: cluster, Node: node, Version: "test"}
}

func (b realBroker) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	h, err := b.Broker.Partition(tp)
	if err != nil {
		return nil, err
	}
	return realPartition{h}, nil
}

func (b realBroker) DeleteTopic(r codec.DeleteTopic, reply func(error)) {
	b.Broker.DeleteTopic(r.Topic, reply)
}

func (b realBroker) Transfer(tp codec.TopicPartition, to codec.NodeID) error {
	h, err := b.Broker.Partition(tp)
	if err != nil {
		return err
	}
	return h.HandOver(to)
}

func (b realBroker) Trim(tp codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error)) {
	h, err := b.Broker.Partition(tp)
	if err != nil {
		reply(0, err)
		return
	}
	h.Trim(before, reply)
}

type realPartition struct{ *actors.Handle }

func (p realPartition) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	return p.ProduceVerified(ctx, b, reply)
}

func (p realPartition) MaxMessageBytes() int { return p.MessageBytesMax() }

func (p realPartition) OffsetForTime(t codec.Millis) (codec.Offset, bool, error) {
	o, _, found, err := p.Handle.OffsetForTime(t)
	return o, found, err
}

// realServers are two doors of one real broker; cut closes the first.
func realServers(t *testing.T) (servers []string, cut func()) {
	b, err := actors.Start(t.Context(), actors.Config{Dir: t.TempDir(), Node: "n1"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	first, cut := serve(t, realBroker{b}, "127.0.0.1:0")
	second, _ := serve(t, realBroker{b}, "127.0.0.1:0")
	return []string{first, second}, cut
}

// A real broker, whose first door is slammed while records pass it: each record
// is stored, a consumer sees each once and in order, and what was trimmed is said
// to be.
func TestARealBroker(t *testing.T) {
	servers, cut := realServers(t)
	c := dial(t, Options{}, servers...)
	ctx := t.Context()
	_, err := c.CreateTopic(ctx, codec.CreateTopic{Topic: "t", Partitions: 3, Settings: map[string]string{"segment.bytes": "1MiB"}})
	require.NoError(t, err)
	n := consume(t, c, ConsumerOptions{BufferBytes: 200_000})
	p, err := c.Producer(ctx, "t", ProducerOptions{BatchBytes: 4 << 10, Compression: codec.LZ4, Linger: time.Millisecond})
	require.NoError(t, err)
	f := newFates()
	const count = 20_000
	for i := range count {
		r := codec.Record{Key: fmt.Append(nil, i%100), Value: fmt.Append(nil, i)}
		require.NoError(t, p.Produce(ctx, r, f.tell(i)))
		if i == count/2 {
			cut()
		}
	}
	require.NoError(t, p.Close(ctx))
	require.Len(t, f.stored, count)

	last, seen := map[string]int{}, map[int]codec.Offset{}
	high := map[codec.Partition]codec.Offset{}
	for i := range codec.Partition(3) {
		_, high[i], err = c.Offsets(ctx, codec.TopicPartition{Topic: "t", Partition: i})
		require.NoError(t, err)
	}
	for at := n.Positions(); at[0] < high[0] || at[1] < high[1] || at[2] < high[2]; at = n.Positions() {
		rs, err := n.Poll(ctx)
		require.NoError(t, err)
		for rs.Next() {
			i, err := strconv.Atoi(string(rs.Record().Value))
			require.NoError(t, err)
			_, twice := seen[i]
			require.False(t, twice, "record %d is stored twice", i)
			seen[i] = rs.Record().Offset
			key := string(rs.Record().Key)
			if before, ok := last[key]; ok {
				require.Less(t, before, i, "key %s", key)
			}
			last[key] = i
		}
	}
	for i, o := range f.stored {
		require.Equal(t, o, seen[i], "record %d", i)
	}
	require.Len(t, seen, count)

	who, err := c.Metadata(ctx)
	require.NoError(t, err)
	require.NoError(t, c.Transfer(ctx, tp0, who.Node))
	require.ErrorContains(t, c.Transfer(ctx, tp0, "n9"), `INVALID_ARGUMENT: t/0 has no replica on node "n9" that stays`)
	require.ErrorContains(t, c.ChangeReplicas(ctx, tp0, []codec.NodeID{"n9"}), `INVALID_ARGUMENT: no node "n9" in this cluster`)
	require.ErrorContains(t, c.ChangeReplicas(ctx, codec.TopicPartition{Topic: "t", Partition: 9}, []codec.NodeID{who.Node}), "UNKNOWN_PARTITION")
	_, err = c.Trim(ctx, tp0, 1000)
	require.NoError(t, err)
	require.NoError(t, n.Seek(0, 10))
	_, err = n.Poll(ctx)
	var gone *Trimmed
	require.ErrorAs(t, err, &gone)
	require.Equal(t, codec.Offset(10), gone.Position)
	require.Equal(t, codec.Offset(1000), gone.Oldest)
}
