package client_test

import (
	"context"
	"fmt"
	"io"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// Produce two records and read them back. The server here is a broker in
// memory; with a real one, the address is 127.0.0.1:9650.
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
