package gateway

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// request is what an answer needs of its request.
type request struct {
	id    uint32
	op    codec.Op
	size  int           // bytes it is charged with
	began time.Duration // when its frame had come, on the session's clock
}

// answer is what the writer does next: send frame, or have one made and send
// it.
type answer struct {
	request request
	frame   codec.Frame
	maker   maker
	most    int                   // bytes of the server's budget that maker may need
	again   reusable              // nobody needs it when the answer has left; may be nil
	begins  *session.Subscription // may push when the answer has left
	push    bool                  // it answers no request
}

// reusable is what a request took that the next one may have; it is told below
// conn.mu.
type reusable interface{ reuse() }

// maker makes an answer on the writer's goroutine, with head's memory for all
// but the payload; ok is false when there is none yet.
type maker interface {
	make(head []byte) (m made, ok bool)
}

// made is an answer and the memory that its payload is in, if that is to be
// returned.
type made struct {
	frame   codec.Frame
	scratch *buffer
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

// reply queues m, or err when it is not nil, as the answer to a request. From
// then on it is charged at its own size.
func (c *conn) reply(r request, m codec.Message, err error) {
	f := c.response(nil, r, m, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	c.session.Recharge(r.size, f.Size())
	c.server.requests.give(r.size - f.Size())
	r.size = f.Size()
	c.queue = append(c.queue, answer{request: r, frame: f})
	c.hasWork.Signal()
}

// response is the frame that answers r: m within the limit that was agreed
// on, or an error.
func (c *conn) response(head []byte, r request, m codec.Message, err error) codec.Frame {
	if err != nil {
		return c.refusal(head, r, err)
	}
	f := codec.EncodeResponse(head, r.id, m)
	if err := c.fits(f, nil); err != nil {
		return c.refusal(nil, r, err)
	}
	return f
}

// refusal is the frame that refuses r.
func (c *conn) refusal(head []byte, r request, err error) codec.Frame {
	c.server.counts.refused(r.op, codec.CodeOf(err))
	return codec.EncodeError(head, r.id, err)
}

// fits says whether f is within the limit that was agreed on. The error ends
// with where to go on behind what was read, if something was.
func (c *conn) fits(f codec.Frame, r *reading) error {
	if most := c.frameMax(); f.BodySize() > most {
		hint := ""
		if r != nil {
			hint = r.hint()
		}
		return codec.Errorf(codec.RecordTooLarge, "answer of %d bytes: HELLO agreed on frames of at most %d%s", f.BodySize(), most, hint)
	}
	return nil
}

func (c *conn) frameMax() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.FrameMax()
}

// later is a maker of messages.
type later struct {
	conn    *conn
	request request
	message func() (codec.Message, error)
}

func (l *later) make(head []byte) (made, bool) {
	m, err := l.message()
	return made{frame: l.conn.response(head, l.request, m, err)}, true
}

// made queues an answer that the writer makes, for it may be large (most is
// what it takes of the server's budget) or may look on disk.
func (c *conn) made(r request, most int, m func() (codec.Message, error)) {
	c.answer(answer{request: r, most: most, maker: &later{c, r, m}})
}
