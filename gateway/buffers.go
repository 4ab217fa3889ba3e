package gateway

import (
	"math/bits"
	"sync"
)

// Buffers are used again in classes of powers of two, from 4 KiB to 16 MiB.
// What is smaller is not worth it, what is larger goes to the garbage
// collector, and what nobody needs goes there too: the pools are emptied by it.
const (
	classMin = 12
	classMax = 24
)

// buffer is memory for a frame or for what was read. It is handed around
// whole, for a slice in a pool would cost memory for each return.
type buffer struct{ b []byte }

var buffers [classMax + 1]sync.Pool

// takeBuffer is an empty buffer, with room for size bytes or, when they are
// many and none of that kind is at hand, without any: it grows as bytes arrive.
func takeBuffer(size int) *buffer {
	class := max(classMin, bits.Len(uint(max(size, 1)-1)))
	if class <= classMax {
		if b, ok := buffers[class].Get().(*buffer); ok {
			return b
		}
	}
	if class == classMin {
		return &buffer{make([]byte, 0, 1<<classMin)}
	}
	return new(buffer)
}

// giveBuffer returns a buffer that nobody holds a part of any more.
func giveBuffer(b *buffer) {
	if b == nil {
		return
	}
	class := bits.Len(uint(cap(b.b))) - 1
	if class < classMin || class > classMax {
		return
	}
	b.b = b.b[:0]
	buffers[class].Put(b)
}
