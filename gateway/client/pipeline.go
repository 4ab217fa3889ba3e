package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

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
		<-l.slots
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

// write sends what is queued, all of it in one writev. When nothing was sent
// for a while it asks whether the server is still there.
func (l *link) write(keepAlive time.Duration) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	busy, pinged := false, false
	var bufs [][]byte
	for {
		select {
		case <-l.dead:
			return
		case <-l.work:
			busy = true
		case <-tick.C:
			if pinged && l.pingOpen() {
				l.fail(fmt.Errorf("no answer to a ping within %v", keepAlive))
				return
			}
			if pinged = !busy; pinged {
				l.ping()
			}
			busy = false
			continue
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

// ping asks whether the server is there.
func (l *link) ping() {
	select {
	case l.slots <- struct{}{}:
	default:
		return // all slots wait for answers, and the server reads no more
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &pending{op: codec.OpPing, done: func(codec.Envelope, error) {}}
	p.frame = codec.EncodeRequest(nil, l.newID(p), codec.Ping{})
	l.enqueue(p)
}

func (l *link) pingOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.waiting {
		if p.op == codec.OpPing {
			return true
		}
	}
	return false
}
