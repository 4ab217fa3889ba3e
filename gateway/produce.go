package gateway

import (
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

var builders = sync.Pool{New: func() any { return new(codec.Builder) }}

// produce verifies a batch and hands it to its partition. Its answer takes a
// turn as soon as the topic is known, so that a refusal, of a body that cannot
// be decoded too, does not overtake those before it.
func (c *conn) produce(r request, e codec.Envelope, frame []byte) error {
	var req codec.Produce
	wrong := e.Decode(&req)
	if fatal(wrong) {
		return wrong
	}
	if wrong != nil && req.Topic == "" {
		c.reply(r, nil, wrong)
		return nil
	}
	c.mu.Lock()
	t := c.session.open(req.TopicPartition, r.size)
	c.mu.Unlock()
	if wrong != nil {
		c.settle(t, codec.EncodeError(nil, r.id, wrong))
		return nil
	}
	if err := c.handOver(r, t, &req, frame); err != nil {
		c.settle(t, codec.EncodeError(nil, r.id, err))
	}
	return nil
}

// handOver returns an error when nothing was handed over. The memory of the
// frame and of a batch built here is used again only after a good reply: until
// then, and for ever after a bad one, it may still be on its way to a disk.
func (c *conn) handOver(r request, t *turn, req *codec.Produce, frame []byte) error {
	p, err := c.server.broker.Partition(req.TopicPartition)
	if err != nil {
		return err
	}
	batch, builder := req.Batch, (*codec.Builder)(nil)
	if batch == nil {
		builder = builders.Get().(*codec.Builder)
		if batch, err = buildBatch(builder, req); err != nil {
			return err
		}
	}
	if err := batch.Verify(p.MaxMessageBytes()); err != nil {
		return err
	}
	return p.Produce(c.ctx, batch, func(a codec.Produced, err error) {
		if err != nil {
			c.settle(t, codec.EncodeError(nil, r.id, err))
			return
		}
		giveBuffer(frame)
		if builder != nil {
			builders.Put(builder)
		}
		c.settle(t, codec.EncodeResponse(nil, r.id, &a))
	})
}

// buildBatch makes one batch of single records; those without a timestamp
// get the time they came.
func buildBatch(b *codec.Builder, req *codec.Produce) (codec.Batch, error) {
	if len(req.Records) == 0 {
		return nil, codec.Errorf(codec.InvalidArgument, "produce to %v without records", req.TopicPartition)
	}
	now := codec.Millis(time.Now().UnixMilli())
	b.Reset()
	for i := range req.Records {
		rec := &req.Records[i]
		if rec.Timestamp == codec.NoTimestamp {
			rec.Timestamp = now
		}
		b.Append(rec.Timestamp, rec.Key, rec.Value, rec.Headers)
	}
	return b.Build(req.Compression)
}

// settle answers a produce in its turn.
func (c *conn) settle(t *turn, f codec.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ready := range c.session.settle(t, f) {
		if !c.dead {
			c.queue = append(c.queue, answer{frame: ready.frame, size: ready.size})
		}
	}
	c.hasWork.Signal()
}
