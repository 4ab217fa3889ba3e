package client

import (
	"context"
	"net"

	"github.com/troupe-mq/troupe/codec"
)

// send queues a request; it waits only for a slot. When it returns nil, who is
// answered.
func (l *link) send(ctx context.Context, r codec.Request, who waiter) error {
	if err := l.takeSlot(ctx, r.Op()); err != nil {
		return err
	}
	return l.post(r, who)
}

// trySend is send that does not wait: errFull when there is no slot, and
// again is called later.
func (l *link) trySend(r codec.Request, who waiter, again func()) error {
	if err := l.trySlot(r.Op(), again); err != nil {
		return err
	}
	return l.post(r, who)
}

// post queues a request that has a slot. It encodes outside the lock.
func (l *link) post(r codec.Request, who waiter) error {
	p := newPending(r.Op(), who)
	p.about = partitionOf(r)
	l.mu.Lock()
	l.newID(p)
	l.mu.Unlock()
	p.encode(r)
	if n := p.frame.BodySize(); n > l.frame {
		l.giveSlot()
		return codec.Errorf(codec.FrameTooLarge, "%v of %d bytes: at most %d are allowed", r.Op(), n, l.frame)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.lostLocked(p.op, false)
	}
	l.enqueue(p)
	return nil
}

// tell queues a one-way; when the link is lost it is lost too.
func (l *link) tell(r codec.Request) {
	p := newPending(r.Op(), nobody{})
	p.holds.Store(1) // nobody waits for an answer
	p.frame = codec.EncodeOneWay(p.head, r)
	p.head = p.frame.Head[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.push(p)
	}
}

// newID gives p a number that is not that of the connection.
func (l *link) newID(p *pending) {
	if l.next++; l.next == codec.ConnectionID {
		l.next++
	}
	p.id = l.next
}

func (l *link) enqueue(p *pending) {
	l.waiting[p.id] = p
	l.push(p)
}

// push hands a frame to the writer.
func (l *link) push(p *pending) {
	l.queue = append(l.queue, p)
	select {
	case l.work <- struct{}{}:
	default:
	}
}

// write sends what is queued, all of it in one writev. It has no deadline of
// its own: a server may take its time to read as long as it says something,
// and when it does not, feelPulse closes the connection under the writer.
func (l *link) write() {
	var (
		batch []*pending
		parts [][]byte
		out   net.Buffers
		to    = l.together()
	)
	for {
		select {
		case <-l.dead:
			return
		case <-l.work:
		}
		l.mu.Lock()
		batch, l.queue = l.queue, batch[:0]
		for _, p := range batch {
			p.sent = true
			parts = p.frame.AppendTo(parts)
		}
		l.mu.Unlock()
		out = parts
		err := to(&out)
		for _, p := range batch {
			p.drop()
		}
		clear(batch)
		clear(parts)
		parts = parts[:0]
		if err != nil {
			l.fail(err)
			return
		}
	}
}
