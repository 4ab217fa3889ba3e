package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/troupe-mq/troupe/codec"
)

// send queues a request; it waits only for a slot. done is called exactly
// once when send returns nil, on the link's goroutine, and must not wait; the
// envelope's memory is its to keep.
func (l *link) send(ctx context.Context, r codec.Request, done func(codec.Envelope, error)) error {
	p := &pending{op: r.Op(), done: done}
	select {
	case l.slots <- struct{}{}:
	case <-l.dead:
		return l.lost(p)
	case <-ctx.Done():
		return fmt.Errorf("wait to send %v: %w", r.Op(), ctx.Err())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		<-l.slots
		return l.lostLocked(p)
	}
	p.frame = codec.EncodeRequest(nil, l.newID(p), r)
	if p.frame.Size() > l.frame {
		<-l.slots
		return codec.Errorf(codec.FrameTooLarge, "%v of %d bytes: at most %d are allowed", r.Op(), p.frame.Size(), l.frame)
	}
	l.enqueue(p)
	return nil
}

func (l *link) newID(p *pending) uint32 {
	if l.next++; l.next == codec.ConnectionID {
		l.next++
	}
	p.id = l.next
	return p.id
}

func (l *link) enqueue(p *pending) {
	l.waiting[p.id] = p
	l.queue = append(l.queue, p)
	l.wake()
}

func (l *link) wake() {
	select {
	case l.work <- struct{}{}:
	default:
	}
}

// read gives answers to who waits for them.
func (l *link) read() {
	for {
		e, err := l.receive()
		if err != nil {
			l.fail(err)
			return
		}
		if e.Kind != codec.KindResponse {
			continue // pushes and one-ways of tomorrow
		}
		l.mu.Lock()
		p := l.waiting[e.ID]
		delete(l.waiting, e.ID)
		l.mu.Unlock()
		if p == nil {
			l.fail(codec.Errorf(codec.Malformed, "answer to request %d, which nobody made", e.ID))
			return
		}
		if !p.pulse {
			<-l.slots
		}
		p.done(e, e.Err())
	}
}

// roomMax is how much room a frame gets before its bytes arrive.
const roomMax = 1 << 20

// receive reads one frame into memory of its own. The last words of a
// server are an error.
func (l *link) receive() (codec.Envelope, error) {
	size, err := l.frames.ReadHead()
	if err == io.EOF {
		return codec.Envelope{}, errors.New("the server closed it")
	}
	if err != nil {
		return codec.Envelope{}, err
	}
	frame, err := l.frames.ReadBody(make([]byte, 0, min(size, roomMax)), size)
	if err != nil {
		return codec.Envelope{}, err
	}
	e, err := codec.ParseEnvelope(frame)
	if err == nil && e.Kind == codec.KindResponse && e.ID == codec.ConnectionID {
		if err = e.Err(); err == nil {
			err = codec.Errorf(codec.Malformed, "answer to request 0, which nobody can make")
		}
	}
	return e, err
}

// write sends what is queued, all of it in one writev. It has no deadline of
// its own: a server may take its time to read as long as it says something,
// and when it does not, feelPulse closes the connection under the writer.
func (l *link) write() {
	var bufs [][]byte
	for {
		select {
		case <-l.dead:
			return
		case <-l.work:
		}
		l.mu.Lock()
		bufs = bufs[:0]
		for _, p := range l.queue {
			p.sent = true
			bufs = p.frame.AppendTo(bufs)
			p.frame = codec.Frame{}
		}
		clear(l.queue)
		l.queue = l.queue[:0]
		l.mu.Unlock()
		out := net.Buffers(bufs)
		if _, err := out.WriteTo(l.net); err != nil {
			l.fail(err)
			return
		}
		clear(bufs)
	}
}
