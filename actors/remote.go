package actors

import (
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Remote is a partition without a replica here, for callers that may wait: each read of
// it asks the broker that leads. Its methods may be called from any goroutine but an
// actor's.
type Remote struct {
	*Far
	in func(func()) // does what asks; a simulation has its own way

	mu   sync.Mutex
	seen *codec.Sight // last
	err  error        // of a wait at the end, not told yet
}

// Remote is f for callers that may wait. in calls what it is given, which does not wait;
// nil for a plain call.
func (f *Far) Remote(in func(func())) *Remote {
	if in == nil {
		in = func(ask func()) { ask() }
	}
	return &Remote{Far: f, in: in}
}

// ask waits for an answer, which comes in any case.
func (r *Remote) ask(kind codec.LookKind, at int64, bytes int) (*codec.Sight, error) {
	type seen struct {
		sight *codec.Sight
		err   error
	}
	answer := make(chan seen, 1)
	r.in(func() { r.Far.Ask(kind, at, bytes, 0, func(s *codec.Sight, err error) { answer <- seen{s, err} }) })
	a := <-answer
	r.note(a.sight, nil)
	return a.sight, a.err
}

func (r *Remote) note(s *codec.Sight, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s != nil {
		r.seen = &codec.Sight{Start: s.Start, HighWatermark: s.HighWatermark}
	}
	r.err = err
}

// Bounds are those of the last answer; the first time they are asked for.
func (r *Remote) Bounds() (start, highWatermark codec.Offset, err error) {
	r.mu.Lock()
	s, err := r.seen, r.err
	r.err = nil
	r.mu.Unlock()
	if s == nil && err == nil {
		s, err = r.ask(codec.LookBounds, 0, 0)
	}
	if err != nil {
		return 0, 0, err
	}
	return s.Start, s.HighWatermark, nil
}

// Ends are the bounds as the leader has them now.
func (r *Remote) Ends() (start, highWatermark codec.Offset, err error) {
	s, err := r.ask(codec.LookBounds, 0, 0)
	if err != nil {
		return 0, 0, err
	}
	return s.Start, s.HighWatermark, nil
}

// Read is Handle.Read.
func (r *Remote) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	s, err := r.ask(codec.LookRead, int64(offset), maxBytes)
	if err != nil {
		return dst, err
	}
	return append(dst, s.Batches...), nil
}

// OffsetForTime is the earliest offset whose record has a timestamp at or after t.
func (r *Remote) OffsetForTime(t codec.Millis) (offset codec.Offset, found bool, err error) {
	s, err := r.ask(codec.LookTime, int64(t), 0)
	if err != nil {
		return 0, false, err
	}
	return s.Offset, s.Found, nil
}

// Await is Handle.Await. It may be done before its time: then one looks, and waits again.
func (r *Remote) Await(offset codec.Offset, wait time.Duration, done func()) (cancel func()) {
	var forget func()
	r.in(func() {
		forget = r.Far.Ask(codec.LookAwait, int64(offset), 0, wait, func(s *codec.Sight, err error) {
			r.note(s, err)
			done()
		})
	})
	return func() { r.in(forget) }
}

// Cut is nil: when the leader cannot be asked, Bounds says so.
func (r *Remote) Cut() error { return nil }

// Afar says that reading asks another broker.
func (r *Remote) Afar() bool { return true }

// MaxMessageBytes is MessageBytesMax, as gateways call it.
func (r *Remote) MaxMessageBytes() int { return r.MessageBytesMax() }
