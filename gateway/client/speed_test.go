package client

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// sink answers at once and keeps nothing: what is left is the way there.
type sink struct{ *log }

func (sink) MaxMessageBytes() int { return 1 << 20 }

func (sink) Produce(_ context.Context, _ codec.Batch, reply func(codec.Produced, error)) error {
	reply(codec.Produced{}, nil)
	return nil
}

type sinkBroker struct{ *memory }

func (sinkBroker) Partition(codec.TopicPartition) (gateway.Partition, error) { return sink{}, nil }

// BenchmarkReadyBatches sends ready batches of 64 KiB through the client and
// the gateway, over TCP, in one process.
func BenchmarkReadyBatches(b *testing.B) {
	addr, _ := serve(b, sinkBroker{newMemory("t", 4)}, "127.0.0.1:0")
	c := dial(b, Options{}, addr)
	var w codec.Builder
	for w.Size() < 63<<10 {
		w.Append(1, nil, make([]byte, 1024), nil)
	}
	batch, err := w.Build(codec.NoCompression)
	require.NoError(b, err)
	slots := make(chan struct{}, 64)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		slots <- struct{}{}
		i++
		err := c.ProduceBatch(b.Context(), codec.TopicPartition{Topic: "t", Partition: codec.Partition(i % 4)}, batch, func(_ codec.Produced, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
		require.NoError(b, err)
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
}

// BenchmarkRecords sends single records of 1 KiB through a Producer.
func BenchmarkRecords(b *testing.B) {
	addr, _ := serve(b, sinkBroker{newMemory("t", 4)}, "127.0.0.1:0")
	c := dial(b, Options{}, addr)
	p, err := c.Producer(b.Context(), "t", ProducerOptions{})
	require.NoError(b, err)
	value := make([]byte, 1024)
	b.SetBytes(1024)
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, p.Produce(b.Context(), codec.Record{Value: value}, nil))
	}
	require.NoError(b, p.Close(b.Context()))
}
