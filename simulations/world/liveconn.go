package world

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// This file is an end of a cable as a net.Conn.

// address is one end's place.
type address string

// Network is that which the cable stands for.
func (address) Network() string { return "tcp" }

// String is host:port.
func (a address) String() string { return string(a) }

// Read waits for bytes, the end of them, or the deadline.
func (e *end) Read(p []byte) (int, error) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, e.failed("read", net.ErrClosed)
		case e.still:
		case e.reads.passed():
			return 0, e.failed("read", os.ErrDeadlineExceeded)
		case len(e.here) > 0:
			n := copy(p, e.here)
			e.here, e.unread = e.here[n:], e.unread-n
			e.other.changed.Broadcast()
			return n, nil
		case e.over == io.EOF:
			return 0, io.EOF
		case e.over != nil:
			return 0, e.failed("read", e.over)
		}
		e.changed.Wait()
	}
}

// Write takes all of p as soon as there is room for it.
func (e *end) Write(p []byte) (n int, err error) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	for {
		room := cableWindow - e.other.unread
		switch {
		case e.closed:
			return n, e.failed("write", net.ErrClosed)
		case e.still:
		case e.finished || e.over != nil && e.over != io.EOF:
			return n, e.failed("write", syscall.EPIPE)
		case e.writes.passed():
			return n, e.failed("write", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return n, nil
		case e.other.closed: // the machine there will say so, if it can
			e.other.vain = true
			e.other.answerVain()
			return n + len(p), nil
		case room > 0:
			some := p[:min(room, len(p))]
			e.other.send(parcel{bytes: append([]byte(nil), some...)})
			n, p = n+len(some), p[len(some):]
			continue
		}
		e.changed.Wait()
	}
}

// CloseWrite says that no more bytes come from here.
func (e *end) CloseWrite() error {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	if e.closed {
		return e.failed("close", net.ErrClosed)
	}
	e.finish()
	return nil
}

func (e *end) finish() {
	if !e.finished && !e.other.closed {
		e.other.send(parcel{over: io.EOF})
	}
	e.finished = true
}

// Close ends the connection. The other side reads what is on its way, then the
// end; or that the connection is reset, when it had sent what nobody read.
func (e *end) Close() error {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	if e.closed {
		return e.failed("close", net.ErrClosed)
	}
	e.finish()
	e.shut()
	e.answerVain()
	return nil
}

// LocalAddr is this end's.
func (e *end) LocalAddr() net.Addr { return e.at }

// RemoteAddr is the other's.
func (e *end) RemoteAddr() net.Addr { return e.other.at }

// SetDeadline sets both deadlines.
func (e *end) SetDeadline(t time.Time) error {
	return e.due(t, &e.reads, &e.writes)
}

// SetReadDeadline is for Read, also one that waits now.
func (e *end) SetReadDeadline(t time.Time) error { return e.due(t, &e.reads) }

// SetWriteDeadline is for Write, also one that waits now.
func (e *end) SetWriteDeadline(t time.Time) error { return e.due(t, &e.writes) }

func (e *end) due(t time.Time, which ...*deadline) error {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	if e.closed {
		return e.failed("set deadline", net.ErrClosed)
	}
	for _, d := range which {
		d.set(t, func() {
			e.cable.mu.Lock()
			defer e.cable.mu.Unlock()
			e.changed.Broadcast()
		})
	}
	e.changed.Broadcast()
	return nil
}

// failed is err as the net package words it.
func (e *end) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: e.at, Addr: e.other.at, Err: err}
}

// deadline is a moment after which a call does not wait.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time, passed func()) {
	d.stop()
	d.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, passed)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !d.at.After(time.Now()) }
