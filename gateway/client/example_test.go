package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// served is a client of a broker in memory, with a topic that has records;
// with a real one, the address is 127.0.0.1:9650.
func served(values ...string) (c *client.Client, stop func()) {
	address, down := client.ServeMemory()
	c, err := client.Dial(context.Background(), []string{address}, client.Options{Name: "example"})
	if err != nil {
		panic(err)
	}
	if _, err := c.CreateTopic(context.Background(), codec.CreateTopic{Topic: "bookings"}); err != nil {
		panic(err)
	}
	p, err := c.Producer(context.Background(), "bookings", client.ProducerOptions{})
	if err != nil {
		panic(err)
	}
	for _, v := range values {
		if err := p.Produce(context.Background(), codec.Record{Key: []byte("LH 404"), Value: []byte(v)}, nil); err != nil {
			panic(err)
		}
	}
	if err := p.Close(context.Background()); err != nil {
		panic(err)
	}
	return c, func() { c.Close(); down() }
}

// Produce two records and read them back.
func Example() {
	address, stop := client.ServeMemory()
	defer stop()
	ctx := context.Background()

	c, err := client.Dial(ctx, []string{address}, client.Options{Name: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if _, err := c.CreateTopic(ctx, codec.CreateTopic{Topic: "bookings"}); err != nil {
		fmt.Println(err)
		return
	}

	p, err := c.Producer(ctx, "bookings", client.ProducerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, what := range []string{"booked", "changed"} {
		if err := p.Produce(ctx, codec.Record{Key: []byte("LH 404"), Value: []byte(what)}, nil); err != nil {
			fmt.Println(err)
		}
	}
	if err := p.Close(ctx); err != nil { // all are stored, or it says what is not
		fmt.Println(err)
	}

	n, err := c.Consumer(ctx, "bookings", client.ConsumerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	for read := 0; read < 2; {
		records, err := n.Poll(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		for ; records.Next(); read++ {
			r := records.Record()
			fmt.Printf("%d/%d %s: %s\n", records.Partition(), r.Offset, r.Key, r.Value)
		}
	}
	// Output:
	// 0/0 LH 404: booked
	// 0/1 LH 404: changed
}

// What became of each record, and what its code says.
func ExampleProducer_Produce() {
	c, stop := served()
	defer stop()
	ctx := context.Background()
	p, err := c.Producer(ctx, "bookings", client.ProducerOptions{Compression: codec.Zstd})
	if err != nil {
		fmt.Println(err)
		return
	}
	told := func(partition codec.Partition, offset codec.Offset, err error) { // must not wait
		switch {
		case err == nil:
			fmt.Printf("stored: %d/%d\n", partition, offset)
		case errors.Is(err, codec.E(codec.Unknown)):
			fmt.Println("stored or not:", err)
		default:
			fmt.Println("not stored:", err)
		}
	}
	if err := p.Produce(ctx, codec.Record{Value: []byte("booked")}, told); err != nil {
		fmt.Println("not taken:", err)
	}
	if err := p.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: stored: 0/0
}

// A handler for all records, and what was handled kept for the next start.
func ExampleConsumer_Run() {
	c, stop := served("booked", "changed", "cancelled")
	defer stop()
	n, err := c.Consumer(context.Background(), "bookings", client.ConsumerOptions{From: client.FromOffset(1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	ctx, enough := context.WithCancel(context.Background())
	defer enough()
	err = n.Run(ctx, func(_ context.Context, records *client.Records) error {
		for records.Next() {
			fmt.Printf("%s\n", records.Record().Value)
			if records.Record().Offset == 2 {
				enough()
			}
		}
		return nil // an error would give them again
	})
	fmt.Println(errors.Is(err, context.Canceled), n.Positions())
	// Output:
	// changed
	// cancelled
	// true map[0:3]
}

// A consumer that goes to the end, then back to a place it knows.
func ExampleConsumer_Poll() {
	c, stop := served("booked", "changed")
	defer stop()
	ctx := context.Background()
	n, err := c.Consumer(ctx, "bookings", client.ConsumerOptions{TellEnd: true, SkipTrimmed: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	for ends := 0; ends < 2; {
		records, err := n.Poll(ctx)
		var damaged *client.DamagedBatch
		switch {
		case errors.As(err, &damaged): // the next Poll goes on behind it
			fmt.Println("lost:", damaged.Base, "to", damaged.Next)
			continue
		case err != nil:
			fmt.Println(err)
			return
		case records.AtEnd():
			fmt.Println("that is all, for now")
			ends++
			if err := n.Seek(records.Partition(), 1); err != nil {
				fmt.Println(err)
			}
		}
		for records.Next() {
			fmt.Printf("%s\n", records.Record().Value)
		}
	}
	// Output:
	// booked
	// changed
	// that is all, for now
	// changed
	// that is all, for now
}

// A Reader reads spans with an end, for programs that are done then.
func ExampleClient_Read() {
	c, stop := served("booked", "changed")
	defer stop()
	ctx := context.Background()
	spans, err := c.Spans(ctx, "bookings", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := c.Read("bookings", spans, client.ReadOptions{})
	defer r.Close()
	for {
		partition, record, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d/%d %s: %s\n", partition, record.Offset, record.Key, record.Value)
	}
	// Output:
	// 0/0 LH 404: booked
	// 0/1 LH 404: changed
}
