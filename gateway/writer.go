package gateway

import (
	"net"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// write is the writer: it sends what is queued until the connection ends. All
// that waits goes out in one writev.
func (c *conn) write() {
	var todo []answer
	var out outgoing
	for {
		var more bool
		if todo, more = c.wait(todo[:0]); !more {
			break
		}
		for _, a := range todo {
			if !c.send(&out, a) {
				return
			}
		}
		if !c.flush(&out) {
			return
		}
		clear(todo)
	}
	c.mu.Lock()
	farewell, dead := c.farewell, c.dead
	c.mu.Unlock()
	if farewell.Size() > 0 && !dead {
		out.add(farewell, 0, false)
		c.flush(&out)
	}
}

// wait returns what is queued; false when nothing more will be.
func (c *conn) wait(todo []answer) ([]answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 {
		if c.dead || c.draining && (c.abrupt || c.session.inFlight == 0) {
			return nil, false
		}
		c.hasWork.Wait()
	}
	todo = append(todo, c.queue...)
	clear(c.queue)
	c.queue = c.queue[:0]
	return todo, !c.dead
}

// outgoing are frames on their way into one writev.
type outgoing struct {
	bufs  [][]byte
	count int // answers
	size  int // of their requests
}

func (o *outgoing) add(f codec.Frame, size int, answers bool) {
	o.bufs = f.AppendTo(o.bufs)
	o.size += size
	if answers {
		o.count++
	}
}

// send adds an answer to out. One that is made here is sent at once, for its
// memory is one for the connection and comes out of the server's budget.
func (c *conn) send(out *outgoing, a answer) bool {
	if a.make == nil {
		out.add(a.frame, a.size, true)
		return true
	}
	held, ok := c.afford(out, a.most)
	if !ok {
		return false
	}
	defer func() { c.server.answers.give(held) }()
	f, scratch, ok := a.make()
	if !ok {
		return true
	}
	if used := len(f.Head) + max(len(f.Payload), cap(scratch)); used < held {
		c.server.answers.give(held - used)
		held = used
	}
	out.add(f, a.size, true)
	ok = c.flush(out)
	giveBuffer(scratch)
	return ok
}

// afford takes most bytes of the server's budget and returns how many they
// are. What is in out does not wait with it; false when the connection ended.
func (c *conn) afford(out *outgoing, most int) (held int, ok bool) {
	answers := c.server.answers
	held = answers.clamp(most)
	if held == 0 || answers.try(held) {
		return held, true
	}
	if !c.flush(out) || !answers.take(c.ctx, held) {
		return 0, false
	}
	return held, true
}

// flush writes out and makes room for as many requests.
func (c *conn) flush(out *outgoing) bool {
	if len(out.bufs) == 0 {
		return true
	}
	_ = c.net.SetWriteDeadline(time.Now().Add(c.server.limits.Write))
	bufs := net.Buffers(out.bufs)
	_, err := bufs.WriteTo(c.net)
	clear(out.bufs)
	out.bufs = out.bufs[:0]
	if err != nil {
		c.kill()
		return false
	}
	c.mu.Lock()
	c.session.inFlight -= out.count
	c.session.bytes -= out.size
	c.hasRoom.Signal()
	c.mu.Unlock()
	out.count, out.size = 0, 0
	return true
}

// answer queues the answer to a request, from any goroutine, without waiting.
func (c *conn) answer(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.queue = append(c.queue, a)
		c.hasWork.Signal()
	}
}

// reply queues m, or err when it is not nil, as the answer to request id. From
// then on it is charged at its own size.
func (c *conn) reply(r request, m codec.Message, err error) {
	f := c.response(r, m, err)
	c.mu.Lock()
	c.session.recharge(r.size, f.Size())
	c.mu.Unlock()
	c.answer(answer{frame: f, size: f.Size()})
}

// response is the frame that answers r: m within the limit that was agreed
// on, or an error.
func (c *conn) response(r request, m codec.Message, err error) codec.Frame {
	if err != nil {
		return codec.EncodeError(nil, r.id, err)
	}
	f := codec.EncodeResponse(nil, r.id, m)
	if err := c.fits(f, ""); err != nil {
		return codec.EncodeError(nil, r.id, err)
	}
	return f
}

// fits says whether f is within the limit that was agreed on; hint ends what
// the error says.
func (c *conn) fits(f codec.Frame, hint string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most := c.session.frameMax; f.BodySize() > most {
		return codec.Errorf(codec.RecordTooLarge, "answer of %d bytes: HELLO agreed on frames of at most %d%s", f.BodySize(), most, hint)
	}
	return nil
}

// made queues an answer that the writer makes, for it may be large (most is
// what it takes of the server's budget) or may look on disk.
func (c *conn) made(r request, most int, m func() (codec.Message, error)) {
	c.answer(answer{size: r.size, most: most, make: func() (codec.Frame, []byte, bool) {
		message, err := m()
		return c.response(r, message, err), nil, true
	}})
}
