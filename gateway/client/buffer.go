package client

import (
	"math/bits"
	"sync"

	"github.com/troupe-mq/troupe/codec"
)

// buffer is the memory of one frame that came in.
type buffer struct{ bytes []byte }

// Sizes of pooled buffers: powers of two from bufferMin to bufferMax bytes,
// each with a little more for what surrounds a payload.
const (
	bufferMin   = 256
	bufferMax   = codec.FrameMax
	bufferSlack = 128
)

var buffers [16]sync.Pool

// class is the pool of buffers that hold at least size bytes.
func class(size int) int {
	return bits.Len(uint((max(size-bufferSlack, 1) - 1) / bufferMin))
}

// takeBuffer is a buffer with room for size bytes, but for no more than
// bufferMax.
func takeBuffer(size int) *buffer {
	n := class(min(size, bufferMax))
	if b, ok := buffers[n].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, bufferMin<<n+bufferSlack)}
}

// free gives the memory back; nothing may point into it any more.
func (b *buffer) free() {
	if n := cap(b.bytes) - bufferSlack; n >= bufferMin && n <= bufferMax {
		b.bytes = b.bytes[:0]
		buffers[bits.Len(uint(n/bufferMin))-1].Put(b)
	}
}
