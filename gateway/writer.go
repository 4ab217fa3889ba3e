package gateway

import (
	"net"
)

// outgoing are frames on their way into one writev, and memory that the
// writer uses again and again.
type outgoing struct {
	bufs    [][]byte
	sending net.Buffers // bufs while they are written
	answers []answer    // of the frames in bufs
	bytes   int
	head    []byte // of an answer that is made
}

func (o *outgoing) add(a answer) {
	o.bufs = a.frame.AppendTo(o.bufs)
	o.bytes += a.frame.Size()
	o.answers = append(o.answers, a)
}

// write is the writer: it sends what is queued until the connection ends. All
// that waits goes out in one writev, and a push has its turn behind every
// answer that is made and behind every writev.
func (c *conn) write() {
	var todo []answer
	var out outgoing
	for {
		var more bool
		if todo, more = c.wait(todo); !more {
			break
		}
		for i := range todo {
			if !c.send(&out, todo[i]) {
				return
			}
		}
		clear(todo)
		if !c.flush(&out) || !c.push(&out) {
			return
		}
	}
	c.mu.Lock()
	farewell, dead := c.farewell, c.dead
	c.mu.Unlock()
	if farewell.Size() > 0 && !dead {
		out.add(answer{frame: farewell, push: true})
		c.flush(&out)
	}
}

// wait returns what is queued, nothing when only a push may go; false when
// nothing more will be. used is the memory of what it returned before.
func (c *conn) wait(used []answer) ([]answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.session.MayPush() {
		if n, _ := c.session.InFlight(); c.dead || c.draining && (c.abrupt || n == 0) {
			return nil, false
		}
		c.hasWork.Wait()
	}
	todo := c.queue
	c.queue = used[:0]
	return todo, !c.dead
}

// send adds an answer to out. One that is made here is sent at once, for its
// memory is one for the connection and comes out of the server's budget.
func (c *conn) send(out *outgoing, a answer) bool {
	if a.maker == nil {
		out.add(a)
		return true
	}
	return c.sendMade(out, a) && c.push(out)
}

func (c *conn) sendMade(out *outgoing, a answer) bool {
	held, ok := c.afford(out, a.most)
	if !ok {
		return false
	}
	m, made := a.maker.make(out.head[:0])
	if !made {
		c.server.answers.give(held)
		return true
	}
	a.frame = m.frame
	return c.sendHeld(out, a, m, held)
}

// sendHeld sends a frame at once whose memory holds bytes of the budget, and
// returns both.
func (c *conn) sendHeld(out *outgoing, a answer, m made, held int) bool {
	used := len(m.frame.Head)
	if m.scratch != nil {
		used += cap(m.scratch.b)
	}
	if used = c.server.answers.clamp(used); held > 0 { // more than was thought is taken all the same
		c.server.answers.give(held - used)
		held = used
	}
	out.add(a)
	ok := c.flush(out)
	c.server.answers.give(held)
	if cap(m.frame.Head) <= headMax {
		out.head = m.frame.Head
	}
	giveBuffer(m.scratch)
	return ok
}

// headMax is the largest memory that a writer keeps for heads of answers.
const headMax = 64 << 10

// afford takes most bytes of the server's budget and returns how many they
// are. What is in out does not wait with it; false when the connection ended.
func (c *conn) afford(out *outgoing, most int) (held int, ok bool) {
	answers := c.server.answers
	held = answers.clamp(most)
	if held == 0 || answers.try(held) {
		return held, true
	}
	c.server.counts.hit(hitAnswers)
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
	c.mu.Lock()
	c.writing = out.bytes
	_ = c.net.SetWriteDeadline(c.at(c.session.WriteDue(c.now(), out.bytes, c.server.answers.crowded())))
	c.mu.Unlock()
	out.sending = out.bufs
	err := c.writeAll(&out.sending)
	clear(out.bufs)
	out.bufs = out.bufs[:0]
	if err != nil {
		c.writeFailed(err)
		return false
	}
	c.left(out)
	return true
}

// left is what follows when the answers in out have left.
func (c *conn) left(out *outgoing) {
	now, n, size := c.now(), 0, 0
	c.mu.Lock()
	for i := range out.answers {
		a := &out.answers[i]
		if a.begins != nil {
			c.session.Begin(a.begins, now)
		}
		if a.again != nil {
			a.again.reuse()
		}
		if !a.push {
			n++
			size += a.request.size
		}
	}
	c.writing = 0
	c.session.Release(n, size)
	if n > 0 {
		c.idles()
	}
	c.hasRoom.Signal()
	c.mu.Unlock()
	c.server.requests.give(size)
	for i := range out.answers {
		if r := &out.answers[i].request; !out.answers[i].push {
			c.server.counts.answered(r.op, now-r.began)
		}
	}
	c.server.counts.bytesOut.Add(uint64(out.bytes))
	clear(out.answers)
	out.answers, out.bytes = out.answers[:0], 0
}

// writeFailed ends the connection, and says whether the client was too slow.
func (c *conn) writeFailed(err error) {
	reason := closedByNetwork
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		reason = closedForSlowness
		c.server.counts.hit(hitWrite)
		c.server.log("connection closed", "remote", c.net.RemoteAddr().String(), "reason", "the client does not take its answers")
	}
	c.kill(reason)
}

// hurryWriter shortens the deadline of answers on their way: others wait for
// what they hold.
func (c *conn) hurryWriter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing > 0 {
		_ = c.net.SetWriteDeadline(c.at(c.session.WriteDue(c.now(), c.writing, true)))
	}
}
