package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// readAhead is how much of small frames is read at once.
const readAhead = 16 << 10

// conn is one connection. Its reader takes frames to the broker, its writer
// sends answers; all they share is below mu.
type conn struct {
	server *Server
	net    net.Conn
	from   *bufio.Reader
	frames *codec.FrameReader
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	mu       sync.Mutex
	hasRoom  sync.Cond // for the reader
	hasWork  sync.Cond // for the writer
	session  *session
	queue    []answer // bounded: at most one for each request in flight
	polls    map[*poll]struct{}
	draining bool        // no more requests are taken
	abrupt   bool        // draining does not wait for answers
	farewell codec.Frame // the last frame, if there is one
	dead     bool        // nothing more is written
	written  bool        // all was written: what still comes is read for a short time only
}

// answer is what the writer does next: send frame, or make one and send it.
type answer struct {
	frame codec.Frame
	make  func() (f codec.Frame, scratch []byte, ok bool)
	most  int // bytes of the server's budget that make may need
	size  int // what is charged to the session, released when the answer has left
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, net: nc, session: newSession(s.limits), polls: map[*poll]struct{}{}}
	c.from = bufio.NewReaderSize(nc, readAhead)
	c.frames = codec.NewFrameReader(c.from, c.session.frameMax)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.hasRoom.L, c.hasWork.L = &c.mu, &c.mu
	return c
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
	c.hasRoom.Broadcast()
	c.mu.Unlock()
	c.endPolls()
	c.hangUp(gone)
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

// errDraining ends the reader when somebody else ended the session.
var errDraining = errors.New("the connection takes no more requests")

// read is the reader: frames in, until one cannot be taken.
func (c *conn) read() {
	err := c.handshake()
	for err == nil {
		err = c.next()
	}
	var wrong *codec.Error
	switch {
	case errors.As(err, &wrong):
		c.server.log("connection closed", "remote", c.net.RemoteAddr().String(), "reason", wrong)
		c.drain(codec.EncodeError(nil, codec.ConnectionID, wrong), true)
		c.swallow()
	case errors.Is(err, errDraining):
		c.swallowAll()
	case err == io.EOF:
		c.drain(codec.Frame{}, false) // it may still read what it asked for
	default:
		c.drain(codec.Frame{}, true)
	}
}

// handshake reads the magic. HELLO, and whatever else comes before it, falls
// under its deadline too.
func (c *conn) handshake() error {
	if !c.readWithin(c.server.limits.Handshake) {
		return errDraining
	}
	var magic [len(codec.Magic)]byte
	if _, err := io.ReadFull(c.from, magic[:]); err != nil {
		return c.late(err, "no magic within %v", c.server.limits.Handshake)
	}
	return checkMagic(magic[:])
}

// next reads one frame and takes it to where it belongs.
func (c *conn) next() error {
	limits := c.server.limits
	ready := c.helloDone()
	if ready && !c.readWithin(limits.Idle) {
		return errDraining
	}
	size, err := c.frames.ReadHead()
	if err != nil {
		if !ready {
			return c.late(err, "no HELLO within %v", limits.Handshake)
		}
		return c.late(err, "no request for %v", limits.Idle)
	}
	if !c.waitForRoom(size) {
		return errDraining
	}
	if ready && !c.readWithin(limits.Frame) {
		c.release(size)
		return errDraining
	}
	buf, err := c.frames.ReadBody(takeBuffer(size), size)
	if err != nil {
		c.release(size)
		return c.late(err, "a frame of %d bytes did not come within %v", size, limits.Frame)
	}
	return c.take(buf)
}

// late makes a deadline a reason that the client is told; being stopped is
// none, for Close has its own farewell.
func (c *conn) late(err error, format string, args ...any) error {
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.draining {
			return errDraining
		}
		return codec.Errorf(codec.TimedOut, format, args...)
	}
	return err
}

// readWithin sets a deadline for the reader, unless the connection drains:
// then stop has set the last one.
func (c *conn) readWithin(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	_ = c.net.SetReadDeadline(time.Now().Add(d))
	return true
}

// release takes back the charge of a request that never was.
func (c *conn) release(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.release(size)
	c.hasWork.Signal() // a draining writer waits for the last one
}

func (c *conn) helloDone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.ready
}

// waitForRoom is where back-pressure comes from: while it waits, nothing is
// read. It charges the request. False = the connection ends.
func (c *conn) waitForRoom(size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.session.room(size) && !c.draining && !c.dead {
		c.hasRoom.Wait()
	}
	if c.draining || c.dead {
		return false
	}
	c.session.take(size)
	return true
}

// swallowMax and swallowTime bound what is read after a farewell.
const (
	swallowMax  = 1 << 20
	swallowTime = time.Second
)

// swallow reads a little of what a client that broke the rules still sends.
func (c *conn) swallow() {
	_ = c.net.SetReadDeadline(time.Now().Add(swallowTime))
	_, _ = io.CopyN(io.Discard, c.net, swallowMax)
}

// swallowAll reads all that a client sends which does not know yet that it is
// not heard any more: until it hangs up, or a short time after the farewell.
func (c *conn) swallowAll() {
	c.mu.Lock()
	if !c.written {
		_ = c.net.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	_, _ = io.Copy(io.Discard, c.net)
}

// stop lets requests in flight be answered and says farewell.
func (c *conn) stop() {
	c.drain(codec.EncodeError(nil, codec.ConnectionID, codec.Errorf(codec.Stopping, "the broker is shutting down")), false)
}

// kill ends the connection at once.
func (c *conn) kill() {
	c.mu.Lock()
	c.dead = true
	c.hasRoom.Broadcast()
	c.hasWork.Broadcast()
	c.mu.Unlock()
	c.cancel()
	_ = c.net.Close()
}

// drain takes no more requests. The writer ends when all in flight are
// answered, or abruptly with what is queued. The first farewell stays, and
// wakes the reader.
func (c *conn) drain(farewell codec.Frame, abrupt bool) {
	c.mu.Lock()
	if !c.draining {
		c.farewell = farewell
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	}
	c.draining, c.abrupt = true, c.abrupt || abrupt
	c.hasRoom.Broadcast()
	c.hasWork.Broadcast()
	c.mu.Unlock()
	if abrupt {
		c.cancel()
	}
	c.endPolls()
}
