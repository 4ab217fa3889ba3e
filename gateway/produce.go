package gateway

import (
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

var builders = sync.Pool{New: func() any { return new(codec.Builder) }}

// produce is one PRODUCE on its way. It is used again when its answer has
// left, so that one costs no memory of its own.
type produce struct {
	conn     *conn
	turn     session.Turn
	request  request
	message  codec.Produce
	frame    *buffer        // the batch may be a part of it
	builder  *codec.Builder // the batch may be in its memory; nil without
	topic    *topicCounts
	bytes    int // of the batch
	records  int
	produced codec.Produced
	answer   codec.Frame
	reply    func(codec.Produced, error) // p.replied, made once
}

// producesMax is how many a connection keeps for later.
const producesMax = 256

// newProduce is called by the reader.
func (c *conn) newProduce(r request, frame *buffer) *produce {
	var p *produce
	c.mu.Lock()
	if n := len(c.produces); n > 0 {
		p = c.produces[n-1]
		c.produces = c.produces[:n-1]
	}
	c.mu.Unlock()
	if p == nil {
		p = &produce{conn: c}
		p.turn.Owner = p
		p.reply = p.replied
	}
	p.request, p.frame = r, frame
	return p
}

// reuse keeps p for later.
func (p *produce) reuse() {
	p.message.Reset()
	p.frame, p.builder = nil, nil
	if c := p.conn; len(c.produces) < producesMax {
		c.produces = append(c.produces, p)
	}
}

// produce verifies a batch and hands it to its partition. Its answer takes a
// turn as soon as the topic is known, so that a refusal, of a body that cannot
// be decoded too, does not overtake those before it.
func (c *conn) produce(r request, e *codec.Envelope, frame *buffer) error {
	p := c.newProduce(r, frame)
	wrong := e.Decode(&p.message)
	if fatal(wrong) {
		return wrong
	}
	if wrong != nil && p.message.Topic == "" {
		giveBuffer(frame)
		c.reply(r, nil, wrong)
		return nil
	}
	c.mu.Lock()
	c.session.Open(&p.turn, p.message.TopicPartition)
	c.mu.Unlock()
	if wrong == nil {
		wrong = p.handOver()
	}
	if wrong != nil { // nobody else has seen the frame
		p.returnMemory()
		p.refuse(wrong)
	}
	return nil
}

// handOver returns an error when nothing was handed over. The memory of the
// frame and of a batch built here is used again only after a good reply: until
// then, and for ever after a bad one, it may still be on its way to a disk.
func (p *produce) handOver() error {
	m := &p.message
	to, err := p.conn.partition(m.TopicPartition, led)
	if err != nil {
		return err
	}
	batch := m.Batch
	if batch == nil {
		p.builder = builders.Get().(*codec.Builder)
		if batch, err = buildBatch(p.builder, m); err != nil {
			return err
		}
	}
	if err := batch.Verify(to.MaxMessageBytes()); err != nil {
		return err
	}
	p.topic, p.bytes, p.records = p.conn.server.counts.topic(p.topic, m.Topic), len(batch), int(batch.Count())
	return to.Produce(p.conn.ctx, batch, p.reply)
}

func (p *produce) returnMemory() {
	giveBuffer(p.frame)
	if p.builder != nil {
		builders.Put(p.builder)
	}
	p.frame, p.builder = nil, nil
}

// replied is called by the partition, from any goroutine.
func (p *produce) replied(a codec.Produced, err error) {
	if err != nil {
		p.frame, p.builder = nil, nil
		p.refuse(err)
		return
	}
	p.returnMemory()
	p.topic.produced(p.records, p.bytes)
	p.produced = a
	p.settle(codec.EncodeResponse(p.answer.Head, p.request.id, &p.produced))
}

func (p *produce) refuse(err error) {
	p.settle(p.conn.refusal(p.answer.Head, p.request, err))
}

// settle answers a produce in its turn.
func (p *produce) settle(f codec.Frame) {
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	p.answer = f
	if c.dead {
		return
	}
	for t := c.session.Settle(&p.turn); t != nil; {
		one := t.Owner.(*produce)
		t = t.Next()
		c.queue = append(c.queue, answer{request: one.request, frame: one.answer, again: one})
		c.hasWork.Signal()
	}
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
