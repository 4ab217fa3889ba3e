package world

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"time"
)

// trace is a hash over all that happened, and its readable form when a writer
// is set. What goes in must not depend on addresses, paths of the host or the
// order of a map.
type trace struct {
	sum hash.Hash64
	out io.Writer
	err error
	buf []byte
}

func newTrace() trace { return trace{sum: fnv.New64a()} }

// step adds that what happened at key.
func (t *trace) step(now int64, key, what string, digest uint64) {
	b := binary.BigEndian.AppendUint64(t.buf[:0], uint64(now))
	b = append(append(b, key...), 0)
	b = append(append(b, what...), 0)
	t.buf = binary.BigEndian.AppendUint64(b, digest)
	_, _ = t.sum.Write(t.buf) // a hash's Write never fails
	if t.out != nil && t.err == nil {
		_, t.err = fmt.Fprintf(t.out, "%s %s %s %016x\n", time.Unix(0, now).UTC().Format("15:04:05.000000"), key, what, digest)
	}
}

// Hash is over everything that happened so far: time, who, what and a digest
// of the content, step by step. It is not over the seed.
func (w *World) Hash() string { return fmt.Sprintf("%016x", w.trace.sum.Sum64()) }

// TraceTo writes a line for each step from now on: time, who, what, digest.
// Writing ends at the writer's first error.
func (w *World) TraceTo(out io.Writer) { w.trace.out, w.trace.err = out, nil }

// Note adds something that happened to the hash and the trace, a client's
// answer for instance. digest stands for its content.
func (w *World) Note(key, what string, digest uint64) {
	w.guard("note", key, nil)
	w.trace.step(w.now, key, what, digest)
}

// Digester is a message whose content goes into the hash; of others only the
// type does. The digest must be the same in every process.
type Digester interface{ Digest() uint64 }

func digest(message any) uint64 {
	if d, ok := message.(Digester); ok {
		return d.Digest()
	}
	return 0
}
