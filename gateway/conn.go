package gateway

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// conn is one connection. Its reader takes frames to the broker, its writer
// sends answers and pushes; all they share is below mu.
type conn struct {
	server   *Server
	net      net.Conn // raw, or TLS on it
	raw      net.Conn
	together *bufio.Writer  // gathers small writes for TLS; nil without
	redirect bool           // the client goes to leaders itself; the reader's
	who      codec.Identity // set with HELLO, where clients have to show it
	opened   time.Time
	inlet    *inlet
	frames   *codec.FrameReader
	ctx      context.Context // ends with the connection
	cancel   context.CancelFunc

	mu       sync.Mutex
	hasRoom  sync.Cond // for the reader
	hasWork  sync.Cond // for the writer
	session  *session.Session
	queue    []answer // bounded: one for each request in flight, and one for each subscription that ended
	vigils   map[*vigil]struct{}
	produces []*produce // to be used again
	polls    []*poll
	draining bool        // no more requests are taken
	abrupt   bool        // draining does not wait for answers
	farewell codec.Frame // the last frame, if there is one
	reason   string      // why it ends, for the counters
	dead     bool        // nothing more is written
	written  bool        // all was written: what still comes is read for a short time only
	reading  int         // bytes of the frame whose body is awaited, 0 = none
	hurried  bool        // its deadline is short, for others wait
	writing  int         // bytes that the client is to take now, 0 = none
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, net: nc, raw: nc, opened: time.Now(), session: session.New(s.limits)}
	c.secure()
	c.inlet = newInlet(c.net)
	c.frames = codec.NewFrameReader(c.inlet, c.session.FrameMax())
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.hasRoom.L, c.hasWork.L = &c.mu, &c.mu
	return c
}

// now is the time since the connection opened: the session's clock.
func (c *conn) now() time.Duration { return time.Since(c.opened) }

// at is a moment of the session's as the socket wants it.
func (c *conn) at(moment time.Duration) time.Time {
	if moment == session.Never {
		return time.Time{}
	}
	return c.opened.Add(moment)
}

// run is the connection's life, on the writer's goroutine.
func (c *conn) run() {
	defer c.server.forget(c)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.read()
	}()
	c.write()
	c.cancel()
	c.mu.Lock()
	c.dead = true
	c.session.EndAll()
	c.hasRoom.Broadcast()
	c.mu.Unlock()
	c.endVigils()
	c.hangUp(gone)
	c.mu.Lock()
	_, held := c.session.InFlight()
	c.session.Recharge(held, 0) // what was never answered
	c.mu.Unlock()
	c.server.requests.give(held)
}

// hangUp closes the connection. The reader first swallows what is still
// coming, for a close with bytes unread would make the peer's TCP throw away
// the last answers and the farewell.
func (c *conn) hangUp(gone <-chan struct{}) {
	if half, ok := c.net.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		_ = c.net.Close()
	}
	c.mu.Lock()
	c.written = true
	_ = c.net.SetReadDeadline(time.Now().Add(swallowTime))
	c.mu.Unlock()
	<-gone
	_ = c.net.Close()
}

// stop lets requests in flight be answered, ends subscriptions and says
// farewell.
func (c *conn) stop() {
	why := codec.Errorf(codec.Stopping, "the broker is shutting down")
	c.drain(end{reason: "STOPPING", farewell: codec.EncodeError(nil, codec.ConnectionID, why), subscriptions: why})
}

// kill ends the connection at once. The first reason stays.
func (c *conn) kill(reason string) {
	c.mu.Lock()
	c.dead = true
	c.because(reason)
	c.hasRoom.Broadcast()
	c.hasWork.Broadcast()
	c.mu.Unlock()
	c.cancel()
	_ = c.raw.Close() // TLS would wait to say goodbye
}

func (c *conn) because(reason string) {
	if c.reason == "" {
		c.reason = reason
	}
}

// end is how a connection ends.
type end struct {
	reason        string
	farewell      codec.Frame // the last frame, if there is one
	abrupt        bool        // it does not wait for answers
	subscriptions error       // what their last push says; nil = there is none
}

// drain takes no more requests. The writer ends when all in flight are
// answered, or abruptly with what is queued. The first farewell stays, and
// wakes the reader.
func (c *conn) drain(e end) {
	c.mu.Lock()
	if !c.draining {
		c.farewell = e.farewell
		c.because(e.reason)
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	}
	c.draining, c.abrupt = true, c.abrupt || e.abrupt
	for _, sub := range c.session.EndAll() {
		if e.subscriptions != nil && !c.dead {
			c.queue = append(c.queue, answer{frame: codec.EncodeEnd(nil, sub.ID, e.subscriptions), push: true})
		}
	}
	c.hasRoom.Broadcast()
	c.hasWork.Broadcast()
	c.mu.Unlock()
	if e.abrupt {
		c.cancel()
	}
	c.endVigils()
}
