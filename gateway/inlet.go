package gateway

import "io"

// Bytes that are read ahead: little of a stranger's, so that a connection
// which never says HELLO costs almost nothing.
const (
	readAheadStranger = 512
	readAhead         = 16 << 10
)

// inlet reads small frames ahead, and large ones straight into their buffers.
type inlet struct {
	from io.Reader
	buf  []byte
	r, w int // buf[r:w] was read ahead
}

func newInlet(from io.Reader) *inlet { return &inlet{from: from, buf: make([]byte, readAheadStranger)} }

// Read gives what was read ahead, else what comes.
func (i *inlet) Read(p []byte) (int, error) {
	if i.r == i.w {
		if len(p) >= len(i.buf) {
			return i.from.Read(p)
		}
		n, err := i.from.Read(i.buf)
		if n == 0 {
			return 0, err
		}
		i.r, i.w = 0, n // an error comes again
	}
	n := copy(p, i.buf[i.r:i.w])
	i.r += n
	return n, nil
}

// ahead is how many bytes were read ahead.
func (i *inlet) ahead() int { return i.w - i.r }

// widen reads further ahead from now on.
func (i *inlet) widen() {
	wide := make([]byte, readAhead)
	i.w = copy(wide, i.buf[i.r:i.w])
	i.r, i.buf = 0, wide
}
