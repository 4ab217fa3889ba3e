package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jets is NATS JetStream through nats.go: a stream and a connection for each
// partition, published asynchronously, one message a record.
type jets struct {
	lanes []*jetLane
}

type jetLane struct {
	conn *nats.Conn
	js   jetstream.JetStream

	mu   sync.Mutex
	open map[uint64]*jetBatch
	fail error
}

// jetBatch waits for the acknowledgements of its records.
type jetBatch struct {
	left int
	done func(error)
}

func streamName(partition int) string { return fmt.Sprint("peers-", partition) }
func subjectOf(partition int) string  { return fmt.Sprint("peers.", partition) }

func openNATS(ctx context.Context, o opened) (driver, error) {
	n := &jets{}
	for p := range o.Shape.Partitions {
		l := &jetLane{open: map[uint64]*jetBatch{}}
		conn, err := nats.Connect("nats://"+o.Address, nats.NoReconnect(), nats.Name("peers"))
		if err != nil {
			return nil, fmt.Errorf("connect to NATS: %w", err)
		}
		l.conn = conn
		l.js, err = jetstream.New(conn,
			jetstream.WithPublishAsyncMaxPending(1<<20),
			jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { l.acknowledged(m.Data, nil) }),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { l.acknowledged(m.Data, err) }))
		if err != nil {
			return nil, fmt.Errorf("open JetStream: %w", err)
		}
		_, err = l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: streamName(p), Subjects: []string{subjectOf(p)}, Storage: jetstream.FileStorage, Replicas: 1,
		})
		if err != nil {
			return nil, fmt.Errorf("create stream: %w", err)
		}
		n.lanes = append(n.lanes, l)
	}
	return n, nil
}

func (n *jets) send(_ context.Context, partition int, b *batchOf, done func(error)) error {
	l := n.lanes[partition]
	l.mu.Lock()
	l.open[b.number] = &jetBatch{left: len(b.records), done: done}
	l.mu.Unlock()
	for _, r := range b.records {
		if _, err := l.js.PublishAsync(subjectOf(partition), r); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

func (l *jetLane) acknowledged(record []byte, err error) {
	_, number, _, perr := parseRecord(record)
	if perr != nil {
		err = errors.Join(err, perr)
	}
	l.mu.Lock()
	b := l.open[number]
	var done func(error)
	if b != nil {
		if b.left--; b.left == 0 || err != nil {
			delete(l.open, number)
			done = b.done
		}
	}
	l.mu.Unlock()
	if done != nil {
		done(err)
	}
}

// read pulls a stream through an ordered consumer: no acknowledgements, the
// client's own flow control.
func (n *jets) read(ctx context.Context, partition int, see func([]byte) (bool, error)) error {
	l := n.lanes[partition]
	stream, err := l.js.Stream(ctx, streamName(partition))
	if err != nil {
		return err
	}
	left := int(stream.CachedInfo().State.Msgs)
	if left == 0 {
		return nil
	}
	c, err := l.js.OrderedConsumer(ctx, streamName(partition), jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("make consumer: %w", err)
	}
	ended := make(chan error, 1)
	sub, err := c.Consume(func(m jetstream.Msg) {
		if left == 0 {
			return
		}
		left--
		if more, err := see(m.Data()); !more || err != nil || left == 0 {
			left = 0
			ended <- err
		}
	}, jetstream.PullMaxMessages(4096))
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer sub.Stop()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *jets) close() error {
	for _, l := range n.lanes {
		l.conn.Close()
	}
	return nil
}
