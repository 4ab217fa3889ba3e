package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// alone starts a broker with the topic bookings of two partitions.
func alone(t *testing.T) *actors.Broker {
	b, err := actors.Start(t.Context(), actors.Config{Dir: t.TempDir(), Node: "n1"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	created := make(chan error, 1)
	b.CreateTopic(codec.CreateTopic{Topic: "bookings", Partitions: 2}, func(_ codec.TopicDescription, err error) { created <- err })
	require.NoError(t, <-created)
	return b
}

// asking sends a message to a PID and waits for what it answers.
func asking(t *testing.T, b *actors.Broker, to *actor.PID, message any) any {
	t.Helper()
	answer, err := b.System().Root.RequestFuture(to, message, 10*time.Second).Result()
	require.NoError(t, err)
	return answer
}

func batchOf(t *testing.T, values ...string) codec.Batch {
	var w codec.Builder
	for i, v := range values {
		w.Append(codec.Millis(1000*(i+1)), nil, []byte(v), nil)
	}
	b, err := w.Build(codec.NoCompression)
	require.NoError(t, err)
	return b
}

// A partition's PID takes each message, and answers it as the messages say.
func TestMessagesToAPartition(t *testing.T) {
	b := alone(t)
	p := b.PID(codec.TopicPartition{Topic: "bookings", Partition: 1})
	mine := batchOf(t, "one", "two")
	stored := asking(t, b, p, &codec.Store{Tag: 1, Batch: mine}).(*codec.Stored)
	require.Equal(t, batchOf(t, "one", "two"), mine, "nobody writes to it, so it may be sent again")
	require.NoError(t, stored.Err)
	require.Equal(t, codec.Offset(0), stored.Base)
	require.Equal(t, uint64(1), stored.Tag)
	require.Equal(t, &codec.Bounds{Tag: 2, HighWatermark: 2}, asking(t, b, p, &codec.AskBounds{Tag: 2}))
	require.Equal(t, &codec.Bounds{Tag: 3, HighWatermark: 2}, asking(t, b, p, &codec.Await{Tag: 3, Offset: 1, Within: time.Minute}))
	require.Equal(t, &codec.Time{Tag: 4, Offset: 1, Found: true}, asking(t, b, p, &codec.AskTime{Tag: 4, At: 1500}))
	require.Equal(t, &codec.TopicFacts{Tag: 5, Partitions: 2, MessageBytesMax: 1 << 20}, asking(t, b, p, &codec.AskTopic{Tag: 5}))
	read := asking(t, b, p, &codec.Read{Tag: 6}).(*codec.Batches)
	require.NoError(t, read.Err)
	require.NoError(t, codec.Batch(read.Batches).Verify(0))
	require.Equal(t, int32(2), int32(codec.Batch(read.Batches).Count()))
	one := asking(t, b, p, &codec.AskProducer{}).(*codec.ProducerID)
	two := asking(t, b, p, &codec.AskProducer{}).(*codec.ProducerID)
	require.NoError(t, two.Err)
	require.NotEqual(t, one.ID, two.ID)

	small := asking(t, b, p, &codec.Read{Bytes: 10}).(*codec.Batches)
	require.ErrorIs(t, small.Err, codec.E(codec.RecordTooLarge))
	require.Empty(t, small.Batches, "what was not asked for is not sent")
	require.ErrorIs(t, asking(t, b, p, &codec.Store{Batch: codec.Batch("no batch")}).(*codec.Stored).Err, codec.E(codec.CorruptBatch))
	above := asking(t, b, p, &codec.Read{Offset: 9}).(*codec.Batches)
	require.ErrorIs(t, above.Err, codec.E(codec.OffsetOutOfRange))
	nobody := b.PID(codec.TopicPartition{Topic: "bookings", Partition: 2})
	require.ErrorIs(t, asking(t, b, nobody, &codec.AskBounds{}).(*codec.Bounds).Err, codec.E(codec.UnknownPartition))
	nothing := b.PID(codec.TopicPartition{Topic: "nothing"})
	require.ErrorIs(t, asking(t, b, nothing, &codec.Store{Batch: batchOf(t, "x")}).(*codec.Stored).Err, codec.E(codec.UnknownTopic))
}

// A partition is not stopped by who writes to it, and what it does not know comes back
// as a dead letter.
func TestWhatAPartitionIsNot(t *testing.T) {
	b := alone(t)
	root, p := b.System().Root, b.PID(codec.TopicPartition{Topic: "bookings"})
	root.Stop(p)
	root.Poison(p)
	root.Send(p, &codec.AskBounds{}) // answered to nobody
	_, err := root.RequestFuture(p, "hello", 10*time.Second).Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
	_, err = root.RequestFuture(actor.NewPID(p.Address, "no partition"), &codec.AskBounds{}, 10*time.Second).Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
	require.NoError(t, asking(t, b, p, &codec.AskBounds{}).(*codec.Bounds).Err)
}

// An await that nobody waits for any more is not kept.
func TestAForgottenAwait(t *testing.T) {
	b := alone(t)
	replies := make(chan *codec.Reply, 1)
	call := &codec.Call{TopicPartition: codec.TopicPartition{Topic: "bookings"}, Kind: codec.CallAwait, Within: 60_000}
	forget := b.Serve(t.Context(), "billing", call, func(r *codec.Reply) { replies <- r })
	forget()
	p := b.PID(call.TopicPartition)
	require.NoError(t, asking(t, b, p, &codec.Store{Batch: batchOf(t, "x")}).(*codec.Stored).Err)
	require.NoError(t, asking(t, b, p, &codec.Await{Within: time.Minute}).(*codec.Bounds).Err)
	require.Empty(t, replies)
}

// Without credit a sender is told at once, and nothing is stored; a service waits until
// its line ends.
func TestWithoutCredit(t *testing.T) {
	b, err := actors.Start(t.Context(), actors.Config{Dir: t.TempDir(), Node: "n1", InFlightBytes: 1000})
	require.NoError(t, err)
	defer b.Close(context.Background())
	created := make(chan error, 1)
	b.CreateTopic(codec.CreateTopic{Topic: "bookings", Partitions: 1}, func(_ codec.TopicDescription, err error) { created <- err })
	require.NoError(t, <-created)
	tp := codec.TopicPartition{Topic: "bookings"}
	h, err := b.Partition(tp)
	require.NoError(t, err)
	all := batchOf(t, string(make([]byte, 2000)))
	m, err := h.Message(t.Context(), all, func(codec.Produced, error) {}) // has all credit, and is not sent
	require.NoError(t, err)
	require.ErrorIs(t, asking(t, b, b.PID(tp), &codec.Store{Batch: batchOf(t, "x")}).(*codec.Stored).Err, codec.E(codec.Overloaded))

	replies := make(chan *codec.Reply, 1)
	served := make(chan struct{})
	go func() {
		defer close(served)
		b.Serve(t.Context(), "billing", &codec.Call{TopicPartition: tp, Kind: codec.CallProduce, Batch: batchOf(t, "x")}, func(r *codec.Reply) { replies <- r })
	}()
	b.System().Root.Send(h.PID(), m)
	require.NoError(t, (<-replies).Err())
	<-served
}
