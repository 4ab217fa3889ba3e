package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

const topicName codec.Topic = "peers"

// builders make record batches for drivers that hand ready batches over.
var builders = sync.Pool{New: func() any { return new(codec.Builder) }}

func buildBatch(records [][]byte) (codec.Batch, *codec.Builder, error) {
	b := builders.Get().(*codec.Builder)
	b.Reset()
	for _, r := range records {
		b.Append(1_700_000_000_000, nil, r, nil)
	}
	batch, err := b.Build(codec.NoCompression)
	return batch, b, err
}

// troupe is Troupe's server through its Go client, with ready batches and, as
// for NATS, a connection for each partition.
type troupe struct {
	clients []*client.Client
}

func openTroupe(ctx context.Context, o opened) (driver, error) {
	t := &troupe{}
	for range o.Shape.Partitions {
		c, err := client.Dial(ctx, []string{o.Address}, client.Options{Name: "peers"})
		if err != nil {
			return nil, err
		}
		t.clients = append(t.clients, c)
	}
	return t, nil
}

func (t *troupe) send(ctx context.Context, partition int, b *batchOf, done func(error)) error {
	batch, builder, err := buildBatch(b.records)
	if err != nil {
		return err
	}
	tp := codec.TopicPartition{Topic: topicName, Partition: codec.Partition(partition)}
	return t.clients[partition].ProduceBatch(ctx, tp, batch, func(_ codec.Produced, err error) {
		if err == nil {
			builders.Put(builder)
		}
		done(err)
	})
}

func (t *troupe) read(ctx context.Context, partition int, see func([]byte) (bool, error)) error {
	return readTopic(ctx, t.clients[partition], partition, see)
}

func (t *troupe) close() error {
	for _, c := range t.clients {
		c.Close()
	}
	return nil
}

// readTopic reads a partition with the client's consumer, to what was newest at
// its beginning.
func readTopic(ctx context.Context, c *client.Client, partition int, see func([]byte) (bool, error)) error {
	tp := codec.TopicPartition{Topic: topicName, Partition: codec.Partition(partition)}
	oldest, newest, err := c.Offsets(ctx, tp)
	if err != nil || oldest == newest {
		return err
	}
	n, err := c.Consumer(ctx, topicName, client.ConsumerOptions{Partitions: []codec.Partition{tp.Partition}})
	if err != nil {
		return err
	}
	defer n.Close()
	for {
		records, err := n.Poll(ctx)
		if err != nil {
			return err
		}
		for records.Next() {
			r := records.Record()
			if more, err := see(r.Value); !more || err != nil || r.Offset == newest-1 {
				return err
			}
		}
	}
}

// createTopic makes the topic of a cell on a server.
func createTopic(ctx context.Context, address string, s shape, os bool) error {
	c, err := client.Dial(ctx, []string{address}, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	settings := map[string]string{}
	if os {
		settings["durability"] = "os"
	}
	if _, err := c.CreateTopic(ctx, codec.CreateTopic{Topic: topicName, Partitions: int32(s.Partitions), Settings: settings}); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	return nil
}
