package world

import (
	crand "crypto/rand"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"sync/atomic"
)

// stream is a generator of its own for name, so that drawing from one does
// not move another.
func stream(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Rand is the generator of name: the same for the same seed and name, and
// apart from every other. Each call begins it anew.
func (w *World) Rand(name string) *rand.Rand { return stream(w.seed, name) }

// Reader gives the random bytes of name, as Rand gives numbers.
func (w *World) Reader(name string) io.Reader { return reader(w.seed, name) }

func reader(seed uint64, name string) io.Reader {
	r := stream(seed, name)
	var key [32]byte
	for i := 0; i < len(key); i += 8 {
		binary.LittleEndian.PutUint64(key[i:], r.Uint64())
	}
	return rand.NewChaCha8(key)
}

// seeded says whether a World has the process's randomness.
var seeded atomic.Bool

// seedProcess makes from what crypto/rand.Reader is, until undo.
func seedProcess(from io.Reader) (undo func()) {
	if !seeded.CompareAndSwap(false, true) {
		panic("world: there is one World at a time in a process; close the other first")
	}
	was := crand.Reader
	crand.Reader = from
	return func() {
		crand.Reader = was
		seeded.Store(false)
	}
}
