package chaos

import (
	"maps"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// recorder writes down what clients do and see. Any number of goroutines may
// use it.
type recorder struct {
	mu     sync.Mutex
	begun  time.Time
	h      check.History
	bytes  int64 // of acknowledged batches
	acked  int   // records
	codes  map[codec.Code]int
	first  map[codec.Code]error
	events []*event
}

// event is closed once its condition holds.
type event struct {
	holds  func(*recorder) bool
	closed chan struct{}
}

func newRecorder() *recorder {
	return &recorder{begun: time.Now(), codes: map[codec.Code]int{}, first: map[codec.Code]error{}}
}

// send notes that records are about to be sent to a log; the result names
// them to answered. who is the name of an idempotent producer, which sends one
// record at a time, in the order of its tokens.
func (r *recorder) send(who string, log codec.TopicPartition, tokens []token, hashes []uint64) (at int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := int64(time.Since(r.begun))
	at = len(r.h.Produces)
	for i := range tokens {
		r.h.Produces = append(r.h.Produces, check.Produce{Log: log, Token: uint64(tokens[i]), Value: hashes[i], Call: now, Outcome: check.Unknown, Producer: who, Sequence: int64(token(tokens[i]).number())})
	}
	return at
}

// answered notes what became of count records from at on, which make bytes.
func (r *recorder) answered(at, count, bytes int, base codec.Offset, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := int64(time.Since(r.begun))
	code := codec.CodeOf(err)
	r.codes[code] += count
	if r.first[code] == nil {
		r.first[code] = err
	}
	for i := range count {
		p := &r.h.Produces[at+i]
		p.Return = now
		switch code {
		case codec.OK:
			p.Outcome, p.Offset = check.OK, base+codec.Offset(i)
		case codec.Unknown:
			p.Outcome = check.Unknown
		default:
			p.Outcome = check.Failed
		}
	}
	if code == codec.OK {
		r.acked += count
		r.bytes += int64(bytes)
	}
	r.happened()
}

// read notes a record that a session was given.
func (r *recorder) read(session string, log codec.TopicPartition, rec *codec.Record) {
	t, value := tokenIn(rec.Value), hashOf(rec)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := int64(time.Since(r.begun))
	r.h.Reads = append(r.h.Reads, check.Read{Log: log, Session: session, Token: uint64(t), Value: value, Offset: rec.Offset, Call: now, Return: now})
}

// begins notes that retention has taken what lies below start of a log.
func (r *recorder) begins(log codec.TopicPartition, start codec.Offset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.h.Start == nil {
		r.h.Start = map[codec.TopicPartition]codec.Offset{}
	}
	r.h.Start[log] = start
}

// when is a channel that is closed once condition holds; it is asked after
// every answer, with the recorder locked.
func (r *recorder) when(condition func(*recorder) bool) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &event{condition, make(chan struct{})}
	r.events = append(r.events, e)
	r.happened()
	return e.closed
}

// afterAcked waits for n more acknowledged records.
func (r *recorder) afterAcked(n int) <-chan struct{} {
	target := -1
	return r.when(func(r *recorder) bool {
		if target < 0 {
			target = r.acked + n
		}
		return r.acked >= target
	})
}

// afterCode waits for n more records that were answered with code.
func (r *recorder) afterCode(code codec.Code, n int) <-chan struct{} {
	target := -1
	return r.when(func(r *recorder) bool {
		if target < 0 {
			target = r.codes[code] + n
		}
		return r.codes[code] >= target
	})
}

func (r *recorder) happened() {
	kept := r.events[:0]
	for _, e := range r.events {
		if e.holds(r) {
			close(e.closed)
		} else {
			kept = append(kept, e)
		}
	}
	clear(r.events[len(kept):])
	r.events = kept
}

// history is what was written down, and how often each code was answered.
// Nobody may write any more.
func (r *recorder) history() (check.History, map[codec.Code]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.h, maps.Clone(r.codes)
}

// why is the first error with a code.
func (r *recorder) why(code codec.Code) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first[code]
}

// forget makes the next error with a code the first.
func (r *recorder) forget(code codec.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.first, code)
}
