package link

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// conn is a connection on which both sides know who the other is.
type conn struct {
	net   net.Conn // TLS, or raw
	raw   net.Conn
	peer  Peer
	out   bool // dialled here
	lane  codec.Lane
	asks  bool  // for questions, and of no lane
	desk  *desk // of a service, and of no lane; nil for others
	heard atomic.Int64
	// window is what a service was granted that dialled.
	window codec.Window

	once sync.Once
	done chan struct{} // closed by end
	err  error         // why it ended; set before done is closed
}

// end closes the connection; the first reason stays. It does not wait: TLS's
// own last word is left out, which would.
func (c *conn) end(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.done)
		_ = c.raw.Close()
	})
}

// ended says whether end was called.
func (c *conn) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// reset is end for a peer that takes nothing: what is in the socket's buffer
// goes with it.
func (c *conn) reset(err error) {
	if t, ok := c.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.end(err)
}

// say writes one word.
func (c *conn) say(word uint32, within time.Duration) error {
	var p [codec.FrameHeadBytes]byte
	binary.BigEndian.PutUint32(p[:], word)
	_ = c.net.SetWriteDeadline(time.Now().Add(within))
	_, err := c.net.Write(p[:])
	return err
}

// errGoodbye ends a connection whose other side said goodbye, errSilent one on
// which nothing is heard.
var (
	errGoodbye = errors.New("it is shutting down")
	errSilent  = errors.New("nothing was heard from it for " + deadAfter.String())
)

// listen reads the words that who was dialled says, until the connection ends.
func (c *conn) listen(now func() time.Duration) error {
	var p [codec.FrameHeadBytes]byte
	for {
		_ = c.net.SetReadDeadline(time.Now().Add(deadAfter))
		if _, err := io.ReadFull(c.net, p[:]); err != nil {
			return silence(err)
		}
		c.heard.Store(int64(now()))
		switch word := binary.BigEndian.Uint32(p[:]); word {
		case codec.LaneHere:
		case codec.LaneGoodbye:
			return errGoodbye
		default:
			return codec.Errorf(codec.Malformed, "word %#x: against a lane's direction only a few are said", word)
		}
	}
}

// silence makes a deadline of this side that passed a reason. TCP's own end of a
// connection (ETIMEDOUT) is another one.
func silence(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	return err
}
