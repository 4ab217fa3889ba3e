package codec

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// Magic is what a connection opens with, before the first frame.
const Magic = "TRP1"

// Limits on frames, in bytes of the frame's body.
const (
	// HelloFrameMax is the limit before HELLO is answered.
	HelloFrameMax = 64 << 10
	// FrameMax is the usual limit after it.
	FrameMax = 8 << 20
	// FrameHeadBytes is the length in front of a frame.
	FrameHeadBytes = 4
	// frameStep is how much room a frame gets before its bytes arrive.
	frameStep = 4 << 10
)

// FrameReader cuts a stream into frames: u32 big-endian length, then that
// many bytes. The limit is checked before anything is read or made room for.
type FrameReader struct {
	from  io.Reader
	limit int
	head  [FrameHeadBytes]byte
}

// NewFrameReader reads frames of at most limit bytes.
func NewFrameReader(from io.Reader, limit int) *FrameReader {
	return &FrameReader{from: from, limit: limit}
}

// SetLimit changes the limit for the frames to come.
func (f *FrameReader) SetLimit(limit int) { f.limit = limit }

// ReadHead reads the length of the next frame. It is io.EOF when the stream
// ends between frames, io.ErrUnexpectedEOF within one, and a *Error with code
// FrameTooLarge (with value and limit) or Malformed when the length is wrong.
func (f *FrameReader) ReadHead() (size int, err error) {
	if _, err := io.ReadFull(f.from, f.head[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(f.head[:])
	if n == 0 {
		return 0, Errorf(Malformed, "frame of 0 bytes")
	}
	if uint64(n) > uint64(f.limit) {
		return 0, Errorf(FrameTooLarge, "frame of %d bytes: at most %d are allowed here", n, f.limit)
	}
	return int(n), nil
}

// ReadBody reads the size bytes behind a head into buf, which is recycled. It
// grows only as bytes arrive, so a length that lies costs its sender more
// than it costs here.
func (f *FrameReader) ReadBody(buf []byte, size int) ([]byte, error) {
	return f.ReadMore(buf[:0], size)
}

// ReadMore is ReadBody for a body of which buf holds the beginning: it reads
// until there are size bytes. On an error what is returned is only to be
// recycled.
func (f *FrameReader) ReadMore(buf []byte, size int) ([]byte, error) {
	for len(buf) < size {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(roundUp(size), max(2*len(buf), frameStep)))
			copy(grown, buf)
			buf = grown
		}
		part := buf[len(buf):min(size, cap(buf))]
		if _, err := io.ReadFull(f.from, part); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return buf[:0], err
		}
		buf = buf[:len(buf)+len(part)]
	}
	return buf, nil
}

// roundUp is the power of two at or above n: buffers that are recycled come in
// few sizes.
func roundUp(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }

// Read is ReadHead and ReadBody in one.
func (f *FrameReader) Read(buf []byte) ([]byte, error) {
	size, err := f.ReadHead()
	if err != nil {
		return buf[:0], err
	}
	return f.ReadBody(buf, size)
}

// Frame is one frame to be written: its length and all but the payload, then
// the payload, which is not copied and must not change until it is written.
type Frame struct {
	Head    []byte
	Payload []byte // may be empty
}

// Size is the number of bytes on the wire.
func (f Frame) Size() int { return len(f.Head) + len(f.Payload) }

// BodySize is the number of bytes that limits on frames count: all but the
// length in front.
func (f Frame) BodySize() int { return f.Size() - FrameHeadBytes }

// AppendTo adds the frame's parts to bufs, for one writev of several frames.
func (f Frame) AppendTo(bufs [][]byte) [][]byte {
	bufs = append(bufs, f.Head)
	if len(f.Payload) > 0 {
		bufs = append(bufs, f.Payload)
	}
	return bufs
}

// Bytes is the whole frame in one piece.
func (f Frame) Bytes() []byte {
	return append(append(make([]byte, 0, f.Size()), f.Head...), f.Payload...)
}
