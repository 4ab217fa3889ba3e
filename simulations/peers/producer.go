package main

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// producer is Troupe's server through the client's Producer, record by record,
// as a program uses it.
type producer struct {
	client   *client.Client
	producer *client.Producer
}

func openProducer(ctx context.Context, o opened) (driver, error) {
	c, err := client.Dial(ctx, []string{o.Address}, client.Options{Name: "peers"})
	if err != nil {
		return nil, err
	}
	// A batch is sent when it is full; 80 bytes a record and header are room for
	// what surrounds the values.
	p, err := c.Producer(ctx, topicName, client.ProducerOptions{BatchBytes: o.Shape.Batch*(o.Shape.RecordSize+80) + 100, BufferBytes: 256 << 20})
	if err != nil {
		c.Close()
		return nil, err
	}
	return &producer{c, p}, nil
}

func (p *producer) send(ctx context.Context, partition int, b *batchOf, done func(error)) error {
	last := len(b.records) - 1
	for i, r := range b.records {
		var tell client.Done
		if i == last {
			tell = func(_ codec.Partition, _ codec.Offset, err error) { done(err) }
		}
		if err := p.producer.ProduceTo(ctx, codec.Partition(partition), codec.Record{Value: r}, tell); err != nil {
			return err
		}
	}
	return nil
}

func (p *producer) read(ctx context.Context, partition int, see func([]byte) (bool, error)) error {
	return readTopic(ctx, p.client, partition, see)
}

func (p *producer) close() error {
	p.client.Close()
	return nil
}
