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

// takeRoom is takeBuffer with the room in any case.
func takeRoom(size int) *buffer {
	b := takeBuffer(size)
	if cap(b.b) < size {
		b.b = make([]byte, 0, 1<<bits.Len(uint(size-1)))
	}
	return b
}

// readsMin is the class of the least that there is for much to be read.
const readsMin = 20

// takeRead is an empty buffer to read most bytes of a log into, or less: the
// largest at hand that is not larger than that.
func takeRead(most int) *buffer {
	for class := min(classMax, bits.Len(uint(max(most, 1)-1))); class > readsMin; class-- {
		if b, ok := buffers[class].Get().(*buffer); ok {
			return b
		}
	}
	return takeRoom(min(most, 1<<readsMin))
}

// moveOut puts the little that is in a large buffer into a small one, for it
// may be on its way to a client for a while.
func moveOut(b *buffer) *buffer {
	if cap(b.b) < 1<<readsMin || len(b.b) > cap(b.b)/8 {
		return b
	}
	small := takeRoom(len(b.b))
	small.b = append(small.b, b.b...)
	giveBuffer(b)
	return small
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
