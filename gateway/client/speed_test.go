package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// BenchmarkReadyBatches sends ready batches of 64 KiB through the client and
// the gateway, over TCP.
func BenchmarkReadyBatches(b *testing.B) {
	c := dial(b, Options{}, apart(b))
	var w codec.Builder
	for w.Size() < 63<<10 {
		w.Append(1, nil, make([]byte, 1024), nil)
	}
	batch, err := w.Build(codec.NoCompression)
	require.NoError(b, err)
	slots := make(chan struct{}, 64)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	done := func(_ codec.Produced, err error) {
		if err != nil {
			b.Error(err)
		}
		<-slots
	}
	i, began := 0, cpu(b)
	for b.Loop() {
		slots <- struct{}{}
		i++
		if err := c.ProduceBatch(b.Context(), codec.TopicPartition{Topic: "t", Partition: codec.Partition(i % 6)}, batch, done); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	reportCPU(b, began, b.N, "batch")
}

// BenchmarkRecords sends single records of 1 KiB through a Producer.
func BenchmarkRecords(b *testing.B) {
	c := dial(b, Options{}, apart(b))
	value := make([]byte, 1024)
	for _, of := range []struct {
		name   string
		record codec.Record
		done   Done
	}{
		{"bare", codec.Record{Timestamp: 1, Value: value}, nil},
		{"stamped", codec.Record{Value: value}, nil},
		{"keyed", codec.Record{Timestamp: 1, Key: []byte("a key"), Value: value}, nil},
		{"told", codec.Record{Timestamp: 1, Value: value}, func(codec.Partition, codec.Offset, error) {}},
	} {
		b.Run(of.name, func(b *testing.B) {
			p, err := c.Producer(b.Context(), "t", ProducerOptions{})
			require.NoError(b, err)
			b.SetBytes(1024)
			b.ReportAllocs()
			began := cpu(b)
			for b.Loop() {
				if err := p.Produce(b.Context(), of.record, of.done); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, p.Close(b.Context()))
			reportCPU(b, began, b.N, "record")
		})
	}
}

// BenchmarkOneAtATime waits for the answer to each record.
func BenchmarkOneAtATime(b *testing.B) {
	c := dial(b, Options{}, apart(b))
	p, err := c.Producer(b.Context(), "t", ProducerOptions{Linger: -time.Millisecond})
	require.NoError(b, err)
	told := make(chan error, 1)
	done := func(_ codec.Partition, _ codec.Offset, err error) { told <- err }
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, p.Produce(b.Context(), codec.Record{Timestamp: 1, Value: []byte("x")}, done))
		require.NoError(b, <-told)
	}
	require.NoError(b, p.Close(b.Context()))
}
