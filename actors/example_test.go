package actors_test

import (
	"context"
	"fmt"
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// A Go program runs a broker of its own: one call starts it, handles produce
// and read. There is no socket and no codec between the two.
func Example() {
	dir, err := os.MkdirTemp("", "troupe")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	broker, err := actors.Start(ctx, actors.Config{Dir: dir, Node: "n1"})
	if err != nil {
		panic(err)
	}
	created := make(chan error, 1)
	broker.CreateTopic(codec.CreateTopic{Topic: "bookings", Partitions: 1}, func(_ codec.TopicDescription, err error) { created <- err })
	if err := <-created; err != nil {
		panic(err)
	}
	bookings, err := broker.Partition(codec.TopicPartition{Topic: "bookings"})
	if err != nil {
		panic(err)
	}

	// A batch is Kafka's record batch. It belongs to the partition until the
	// answer comes, which means committed and on the disk.
	var b codec.Builder
	b.Append(1000, []byte("LH454"), []byte(`{"seat":"12A"}`), nil)
	b.Append(2000, []byte("LH454"), []byte(`{"seat":"14C"}`), nil)
	batch, err := b.Build(codec.NoCompression)
	if err != nil {
		panic(err)
	}
	answers := make(chan codec.Produced, 1)
	if err := bookings.Produce(ctx, batch, func(p codec.Produced, err error) {
		if err != nil {
			panic(err)
		}
		answers <- p
	}); err != nil {
		panic(err)
	}
	fmt.Println("first offset", (<-answers).Base)

	// Readers read files by themselves, below the high watermark.
	_, watermark, err := bookings.Bounds()
	if err != nil {
		panic(err)
	}
	for offset := codec.Offset(0); offset < watermark; {
		bytes, err := bookings.Read(nil, offset, 1<<20)
		if err != nil {
			panic(err)
		}
		for len(bytes) > 0 {
			one := codec.Batch(bytes)
			one = one[:one.Size()]
			section, err := one.Open(1 << 20)
			if err != nil {
				panic(err)
			}
			records := one.Records(section)
			for records.Next() {
				r := records.Record()
				fmt.Printf("%d %s %s\n", r.Offset, r.Key, r.Value)
				offset = r.Offset + 1
			}
			bytes = bytes[len(one):]
		}
	}

	// A point in time is an offset.
	from, _, found, err := bookings.OffsetForTime(1500)
	fmt.Println("from 1500 ms:", from, found, err)
	if err := broker.Close(ctx); err != nil {
		panic(err)
	}
	// Output:
	// first offset 0
	// 0 LH454 {"seat":"12A"}
	// 1 LH454 {"seat":"14C"}
	// from 1500 ms: 1 true <nil>
}

// A program's own actor, in the broker's actor system, sends the message
// itself: a handle makes it, with credit taken for it, and says where to.
func ExampleHandle_Message() {
	dir, err := os.MkdirTemp("", "troupe")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	broker, err := actors.Start(ctx, actors.Config{Dir: dir, Node: "n1"})
	if err != nil {
		panic(err)
	}
	created := make(chan error, 1)
	broker.CreateTopic(codec.CreateTopic{Topic: "orders", Partitions: 1}, func(_ codec.TopicDescription, err error) { created <- err })
	if err := <-created; err != nil {
		panic(err)
	}
	orders, err := broker.Partition(codec.TopicPartition{Topic: "orders"})
	if err != nil {
		panic(err)
	}

	done := make(chan struct{})
	broker.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			var b codec.Builder
			b.Append(0, nil, []byte("one order"), nil)
			batch, err := b.Build(codec.NoCompression)
			if err != nil {
				panic(err)
			}
			self := c.Self()
			message, err := orders.Message(ctx, batch, func(p codec.Produced, err error) {
				broker.System().Root.Send(self, fmt.Sprintf("offset %d, error %v", p.Base, err))
			})
			if err != nil {
				panic(err)
			}
			c.Send(orders.PID(), message)
		case string:
			fmt.Println(m)
			close(done)
		}
	}))
	<-done
	if err := broker.Close(ctx); err != nil {
		panic(err)
	}
	// Output:
	// offset 0, error <nil>
}
