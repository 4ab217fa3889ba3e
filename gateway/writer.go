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
// memory is one for the connection.
func (c *conn) send(out *outgoing, a answer) bool {
	if a.make == nil {
		out.add(a.frame, a.size, true)
		return true
	}
	f, scratch, ok := a.make()
	if !ok {
		return true
	}
	out.add(f, a.size, true)
	ok = c.flush(out)
	giveBuffer(scratch)
	return ok
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

// reply queues m, or err when it is not nil, as the answer to request id.
func (c *conn) reply(r request, m codec.Message, err error) {
	f := codec.Frame{}
	if err != nil {
		f = codec.EncodeError(nil, r.id, err)
	} else {
		f = codec.EncodeResponse(nil, r.id, m)
	}
	c.answer(answer{frame: f, size: r.size})
}
