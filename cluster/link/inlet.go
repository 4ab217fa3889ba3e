package link

import (
	"bufio"
	"encoding/binary"
	"io"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// inletBytes is what a connection's reader takes at once, so that small letters
// need no call each.
const inletBytes = 16 << 10

// take reads letters and hands each over, until the connection ends.
func (l *Link) take(c *conn) error {
	in := inlet{conn: c, now: l.now, answered: -hereEvery, says: func() error { return c.say(codec.LaneHere, sayWithin) }}
	from := bufio.NewReaderSize(&in, inletBytes)
	l.mu.Lock()
	n := l.node(c.peer.Node)
	l.mu.Unlock()
	got := &n.in[c.lane]
	for {
		p, err := nextLetter(from, l.config.LetterBytes)
		if err == errGoodbye {
			l.goodbye(c)
		}
		if err != nil {
			return silence(err)
		}
		if p == nil {
			continue
		}
		if c.ended() { // another life is here: what the one before said is not heard any more
			return c.err
		}
		got.letters.Add(1)
		got.bytes.Add(uint64(len(p)))
		l.config.Hear(c.peer.Node, p)
	}
}

// nextLetter reads one frame of a lane: a letter in memory of its own, nil for
// a word, errGoodbye. A length is held against the limit before it is given
// memory.
func nextLetter(from *bufio.Reader, most int) ([]byte, error) {
	var head [codec.FrameHeadBytes]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	switch {
	case size == codec.LaneHere:
		return nil, nil
	case size == codec.LaneGoodbye:
		return nil, errGoodbye
	case uint64(size) > uint64(most):
		return nil, codec.Errorf(codec.FrameTooLarge, "letter of %d bytes: at most %d are allowed here", size, most)
	}
	p := make([]byte, size)
	_, err := io.ReadFull(from, p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// inlet reads a connection. It says that it is here when something comes, now
// and then: so whoever sends knows that it is read, even in the midst of a
// large letter on a slow line.
type inlet struct {
	conn     *conn
	now      func() time.Duration
	due      time.Duration // when the deadline was set
	answered time.Duration
	says     func() error // that this side is here
}

// Read implements io.Reader.
func (i *inlet) Read(p []byte) (int, error) {
	if now := i.now(); i.due == 0 || now-i.due >= hereEvery {
		i.due = now
		_ = i.conn.net.SetReadDeadline(time.Now().Add(deadAfter))
	}
	n, err := i.conn.net.Read(p)
	if n > 0 {
		i.conn.heard.Store(int64(i.now()))
		if err := i.here(); err != nil {
			return n, err
		}
	}
	return n, err
}

// here says that this side is, if that is due.
func (i *inlet) here() error {
	now := i.now()
	if now-i.answered < hereEvery/2 {
		return nil
	}
	i.answered = now
	return i.says()
}
