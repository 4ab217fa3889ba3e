package gateway

import "sync"

// Frame buffers are used again up to this size; larger ones go to the
// garbage collector, so that one large frame is not paid for ever.
const bufferMax = 1 << 20

// buffers holds *[]byte: a pool of slices would allocate for each Put.
var buffers sync.Pool

// takeBuffer is a buffer to read size bytes into. A new one has room only
// for what is likely to come; it grows as bytes arrive.
func takeBuffer(size int) []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		if cap(*b) >= size || size > bufferMax {
			return (*b)[:0]
		}
		buffers.Put(b)
	}
	return nil
}

// giveBuffer returns a buffer that nobody holds a part of any more.
func giveBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= bufferMax {
		b = b[:0]
		buffers.Put(&b)
	}
}
