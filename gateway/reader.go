package gateway

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

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
		c.drain(end{reason: wrong.Code.String(), farewell: codec.EncodeError(nil, codec.ConnectionID, wrong), abrupt: true})
		c.swallow()
	case errors.Is(err, errDraining):
		c.swallowAll()
	case err == io.EOF:
		c.drain(end{reason: closedByClient}) // it may still read what it asked for
	default:
		c.drain(end{reason: closedByNetwork, abrupt: true})
	}
}

// handshake reads the magic. HELLO, and whatever else comes before it, falls
// under its deadline too.
func (c *conn) handshake() error {
	if !c.due(session.Magic, 0) {
		return errDraining
	}
	if err := c.greetTLS(); err != nil {
		return c.late(err, session.Magic, 0)
	}
	var magic [len(codec.Magic)]byte
	if _, err := io.ReadFull(c.inlet, magic[:]); err != nil {
		return c.late(err, session.Magic, 0)
	}
	return session.CheckMagic(magic[:])
}

// next reads one frame and takes it to where it belongs.
func (c *conn) next() error {
	awaited := session.Request
	if !c.helloDone() {
		awaited = session.Hello
	} else if c.inlet.ahead() < codec.FrameHeadBytes && !c.due(session.Request, 0) {
		return errDraining
	}
	size, err := c.frames.ReadHead()
	if err != nil {
		if codec.CodeOf(err) == codec.FrameTooLarge {
			c.server.counts.hit(hitFrameMax)
		}
		return c.late(err, awaited, 0)
	}
	if !c.waitForRoom(size) {
		return errDraining
	}
	frame, err := c.body(size)
	if err != nil {
		giveBuffer(frame)
		c.release(size)
		return c.late(err, session.Body, size)
	}
	c.server.counts.bytesIn.Add(uint64(size + codec.FrameHeadBytes))
	return c.take(frame)
}

// earlyBytes of a frame count at once against what all connections may hold;
// the rest only when so many have come, for a length alone is no burden.
const earlyBytes = 64 << 10

// body reads the size bytes of a frame, of which waitForRoom has taken the
// early ones from what all connections may hold.
func (c *conn) body(size int) (*buffer, error) {
	early := min(size, earlyBytes)
	if !c.expect(size) {
		c.server.requests.give(early - size)
		return nil, errDraining
	}
	b := takeBuffer(size)
	var err error
	if b.b, err = c.frames.ReadMore(b.b, early); err == nil && early < size && !c.hold(size-early) {
		err = errDraining
	}
	if err != nil {
		c.server.requests.give(early - size) // so that release is right
	} else {
		b.b, err = c.frames.ReadMore(b.b, size)
	}
	c.mu.Lock()
	c.reading = 0
	c.mu.Unlock()
	return b, err
}

// expect sets the deadline for a body of size bytes, unless it is here.
func (c *conn) expect(size int) bool {
	if c.inlet.ahead() >= size {
		return true
	}
	c.mu.Lock()
	c.reading = size
	c.mu.Unlock()
	return c.due(session.Body, size)
}

// hold takes n more bytes of what all connections may hold. Its deadline
// begins anew: the client has done its part.
func (c *conn) hold(n int) bool {
	if c.server.requests.try(n) {
		return true
	}
	c.server.counts.hit(hitBytesAll)
	return c.server.requests.take(c.ctx, n) && c.due(session.Body, n)
}

// late makes a deadline a reason that the client is told; being stopped is
// none, for Close has its own farewell.
func (c *conn) late(err error, what session.Awaited, size int) error {
	if ne := net.Error(nil); !errors.As(err, &ne) || !ne.Timeout() {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return errDraining
	}
	c.server.counts.hit(hitOf(what, c.session.Ready()))
	if !c.session.Ready() && what == session.Body {
		what = session.Hello
	}
	return c.session.Late(what, size, c.hurried)
}

// due sets the reader's deadline, unless the connection drains: then stop has
// set the last one.
func (c *conn) due(what session.Awaited, size int) bool {
	crowded := what == session.Body && c.server.requests.crowded()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	c.hurried = crowded
	_ = c.net.SetReadDeadline(c.at(c.session.Due(c.now(), what, size, crowded)))
	return true
}

// idles begins the wait for the next request anew when answers have left; mu
// is held. A body on its way is a request in flight, so its deadline stays.
func (c *conn) idles() {
	if n, _ := c.session.InFlight(); n == 0 && !c.draining {
		_ = c.net.SetReadDeadline(c.at(c.session.Due(c.now(), session.Request, 0, false)))
	}
}

// hurryReader shortens the deadline of a frame on its way: others wait for
// what it holds.
func (c *conn) hurryReader() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading > earlyBytes && !c.draining {
		c.hurried = true
		_ = c.net.SetReadDeadline(c.at(c.session.Due(c.now(), session.Body, c.reading, true)))
	}
}

func (c *conn) helloDone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.Ready()
}

// waitForRoom is where back-pressure comes from: while it waits, nothing is
// read. It charges the request. False = the connection ends.
func (c *conn) waitForRoom(size int) bool {
	c.mu.Lock()
	for full := true; !c.session.Room(size) && !c.draining && !c.dead; full = false {
		if full {
			c.server.counts.hit(hitInFlight)
		}
		c.hasRoom.Wait()
	}
	if c.draining || c.dead {
		c.mu.Unlock()
		return false
	}
	c.session.Take(size)
	c.mu.Unlock()
	if c.hold(min(size, earlyBytes)) {
		return true
	}
	c.mu.Lock()
	c.session.Release(1, size)
	c.hasWork.Signal()
	c.mu.Unlock()
	return false
}

// release takes back the charge of a request that never was.
func (c *conn) release(size int) {
	c.mu.Lock()
	c.session.Release(1, size)
	c.hasWork.Signal() // a draining writer waits for the last one
	c.mu.Unlock()
	c.server.requests.give(size)
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
