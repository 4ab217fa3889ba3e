package main

import (
	"context"
	"fmt"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// embedded is a broker inside the load's process: handles, no socket.
type embedded struct {
	broker *actors.Broker
	parts  []*actors.Handle
}

func openEmbedded(ctx context.Context, o opened, os bool) (driver, error) {
	b, err := actors.Start(ctx, actors.Config{Dir: o.Dir, Node: "peers"})
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	if os {
		settings["durability"] = "os"
	}
	if _, there := b.Metadata().Topics[topicName]; !there {
		created := make(chan error, 1)
		b.CreateTopic(codec.CreateTopic{Topic: topicName, Partitions: int32(o.Shape.Partitions), Settings: settings},
			func(_ codec.TopicDescription, err error) { created <- err })
		if err := <-created; err != nil {
			return nil, fmt.Errorf("create topic: %w", err)
		}
	}
	e := &embedded{broker: b}
	for p := range o.Shape.Partitions {
		h, err := b.Partition(codec.TopicPartition{Topic: topicName, Partition: codec.Partition(p)})
		if err != nil {
			return nil, err
		}
		e.parts = append(e.parts, h)
	}
	return e, nil
}

func (e *embedded) send(ctx context.Context, partition int, b *batchOf, done func(error)) error {
	batch, builder, err := buildBatch(b.records)
	if err != nil {
		return err
	}
	return e.parts[partition].Produce(ctx, batch, func(_ codec.Produced, err error) {
		if err == nil {
			builders.Put(builder)
		}
		done(err)
	})
}

func (e *embedded) read(_ context.Context, partition int, see func([]byte) (bool, error)) error {
	h := e.parts[partition]
	_, high, err := h.Bounds()
	if err != nil {
		return err
	}
	var buf []byte
	for at := codec.Offset(0); at < high; {
		if buf, err = h.Read(buf[:0], at, 1<<20); err != nil {
			return err
		}
		for rest := buf; len(rest) > 0; {
			var b codec.Batch
			if b, rest, err = codec.NextBatch(rest); err != nil {
				return err
			}
			section, err := b.Open(64 << 20)
			if err != nil {
				return err
			}
			for rs := b.Records(section); rs.Next(); {
				if more, err := see(rs.Record().Value); !more || err != nil {
					return err
				}
			}
			at = b.BaseOffset() + codec.Offset(b.Count())
		}
	}
	return nil
}

func (e *embedded) close() error { return e.broker.Close(context.Background()) }
