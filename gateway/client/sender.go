package client

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// send is the producer's goroutine: it sends batches in the order in which
// they were sealed, and seals those whose time has come.
func (p *Producer) send() {
	defer close(p.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		todo, next := p.ready(time.Now())
		for _, q := range todo {
			p.sendOne(q)
		}
		if len(todo) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.stop:
			p.drop()
			return
		}
	}
}

// ready takes what is sealed or due, and says when to look again.
func (p *Producer) ready(now time.Time) (todo []*parcel, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next = time.Hour
	for _, l := range p.lanes {
		if l.parcel == nil {
			continue
		}
		if wait := l.parcel.due.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		p.seal(l)
	}
	todo = p.sealed
	p.sealed = nil
	return todo, next
}

// sendOne sends a batch, or tells those who wait why not.
func (p *Producer) sendOne(q *parcel) {
	if err := p.barred(q); err != nil {
		p.answered(q, 0, err)
		return
	}
	batch, err := q.builder.Build(p.options.Compression)
	if err == nil {
		tp := codec.TopicPartition{Topic: p.topic, Partition: q.partition}
		err = p.client.ProduceBatch(p.ctx, tp, batch, func(a codec.Produced, err error) { p.answered(q, a.Base, err) })
	}
	if err != nil {
		p.answered(q, 0, err)
	}
}

// barred is why a batch must not leave any more.
func (p *Producer) barred(q *parcel) error {
	if p.ctx.Err() != nil {
		return errNotSent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if failed := p.lanes[q.partition].failed; failed != nil {
		return codec.Errorf(codec.Unavailable, "not sent, for a batch before it failed: %v", failed)
	}
	return nil
}

// errNotSent is told to records that Close gave up before they left.
var errNotSent = codec.Errorf(codec.TimedOut, "the producer was closed before the batch was sent")

// answered tells those who wait, unless they were told already. The batch's
// memory is used again only after a good answer: else a writer may still hold
// it.
func (p *Producer) answered(q *parcel, base codec.Offset, err error) {
	p.mu.Lock()
	told := q.told
	q.told = true
	if l := p.lanes[q.partition]; !told && err != nil && p.options.StopAtError && l.failed == nil {
		l.failed = err
	}
	p.mu.Unlock()
	if told {
		return
	}
	for i, done := range q.done {
		if done == nil {
			continue
		}
		if err != nil {
			done(q.partition, 0, err)
		} else {
			done(q.partition, base+codec.Offset(i), nil)
		}
	}
	if err == nil {
		builders.Put(q.builder)
	}
	q.builder = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes -= q.bytes
	delete(p.open, q)
	if err != nil && p.first == nil {
		p.first = err
	}
	close(p.change)
	p.change = make(chan struct{})
}

// drop ends what was never sent, after Close gave up.
func (p *Producer) drop() {
	p.mu.Lock()
	p.sealAll()
	rest := p.sealed
	p.sealed = nil
	p.mu.Unlock()
	for _, q := range rest {
		p.answered(q, 0, errNotSent)
	}
}
