package service

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Any broker serves: through one that does not lead, messages reach the one that does,
// in their order; and when the broker that a service is attached to ends, what was not
// answered is sent again to another, and each batch is stored once.
func TestAnyBrokerServes(t *testing.T) {
	all := brokers(t, nil, "n1", "n2", "n3")
	all["n1"].create(t, "bookings", 3, 3)
	p := attach(t, Config{Brokers: []string{all["n1"].address, all["n2"].address, all["n3"].address}})
	producer := answer[*codec.ProducerID](t, p.ask(0, &codec.AskProducer{}))
	require.NoError(t, producer.Err)
	batches := make([]codec.Batch, 300)
	for i := range batches {
		var w codec.Builder
		w.Append(0, nil, fmt.Append(nil, i), nil)
		b, err := w.BuildUnsigned(codec.NoCompression)
		require.NoError(t, err)
		b.SetProducer(producer.ID, 0, int32(i))
		batches[i] = b
	}
	for partition := range codec.Partition(3) {
		for i, b := range batches {
			if partition == 2 && i == len(batches)/2 {
				first := p.Status().Broker
				all[first].stop(t)
				until(t, "another broker", func() bool { s := p.Status().Broker; return s != "" && s != first })
			}
			until(t, "a batch to be stored", func() bool {
				s := answer[*codec.Stored](t, p.ask(partition, &codec.Store{Batch: b}))
				if s.Err == nil {
					require.Equal(t, codec.Offset(i), s.Base)
					return true
				}
				code := codec.CodeOf(s.Err)
				require.True(t, code.Retriable() || code == codec.Unknown, "%v", s.Err)
				return false
			})
		}
		next := 0
		until(t, "all that is stored", func() bool { // a replica that follows may not know of the last yet
			got := answer[*codec.Batches](t, p.ask(partition, &codec.Read{Offset: codec.Offset(next), Bytes: 4 << 20}))
			require.True(t, got.Err == nil || codec.CodeOf(got.Err).Retriable(), "%v", got.Err)
			for rest := got.Batches; len(rest) > 0; next++ {
				b := codec.Batch(rest)
				b, rest = b[:b.Size()], rest[b.Size():]
				records := b.Records(b[codec.BatchHeaderBytes:])
				require.True(t, records.Next())
				require.Equal(t, fmt.Sprint(next), string(records.Record().Value))
			}
			return next >= len(batches)
		})
		require.Equal(t, len(batches), next)
	}
}

// A partition without a replica at the broker that a service is attached to answers as
// one that is there, and in order.
func TestAPartitionThatIsElsewhere(t *testing.T) {
	all := brokers(t, nil, "n1", "n2", "n3")
	all["n1"].create(t, "bookings", 3, 1)
	d, err := all["n1"].Topic("bookings")
	require.NoError(t, err)
	led := map[codec.NodeID]codec.Partition{}
	for _, one := range d.Partitions {
		require.Len(t, one.Replicas, 1)
		led[one.Replicas[0]] = one.Partition
	}
	require.Len(t, led, 3)
	for _, at := range []codec.NodeID{"n1", "n2", "n3"} {
		p := attach(t, Config{Brokers: []string{all[at].address}})
		partition := led["n2"]
		var before codec.Offset
		until(t, "the bounds", func() bool {
			got := answer[*codec.Bounds](t, p.ask(partition, &codec.AskBounds{}))
			before = got.HighWatermark
			return got.Err == nil
		})
		var asked []actor.Future
		for i := range 100 {
			asked = append(asked, p.ask(partition, &codec.Store{Tag: uint64(i), Batch: batchOf(t, "x")}))
		}
		for i, f := range asked {
			s := answer[*codec.Stored](t, f)
			require.NoError(t, s.Err)
			require.Equal(t, before+codec.Offset(i), s.Base)
		}
		end := before + 100
		require.Equal(t, &codec.Bounds{HighWatermark: end}, answer[*codec.Bounds](t, p.ask(partition, &codec.AskBounds{})))
		require.Equal(t, &codec.Bounds{HighWatermark: end}, answer[*codec.Bounds](t, p.ask(partition, &codec.Await{Offset: end - 1, Within: within})))
		require.Equal(t, &codec.Time{Found: true}, answer[*codec.Time](t, p.ask(partition, &codec.AskTime{At: 1000})))
		read := answer[*codec.Batches](t, p.ask(partition, &codec.Read{Offset: end - 1}))
		require.NoError(t, read.Err)
		require.Equal(t, end-1, codec.Batch(read.Batches).BaseOffset())
		require.ErrorIs(t, answer[*codec.Batches](t, p.ask(partition, &codec.Read{Bytes: 9})).Err, codec.E(codec.RecordTooLarge))

		waits := p.ask(partition, &codec.Await{Offset: end, Within: within})
		require.NoError(t, answer[*codec.Stored](t, p.ask(partition, &codec.Store{Batch: batchOf(t, "y")})).Err)
		bounds := answer[*codec.Bounds](t, waits)
		require.NoError(t, bounds.Err)
		require.Equal(t, end+1, bounds.HighWatermark)
		p.Close()
	}
}
