package world

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// World is one single-threaded scheduler with a virtual clock. A step takes
// one ready piece of work, chosen by the seed, and does it to its end. When
// nothing is ready the clock jumps to the next timer.
type World struct {
	seed   uint64
	owner  int // the thread that the World's goroutine is locked to
	pick   *rand.Rand
	ready  []*lane
	lanes  map[string]*lane // of Post
	timers timers
	now    int64 // ns since 1970
	start  int64
	seq    uint64
	steps  uint64
	still  int // steps since the clock last moved
	limit  int // of still
	trace  trace
	shut   func()
}

// stillMax is how many steps may happen at one instant: more is a livelock.
const stillMax = 1_000_000

// New makes the World of seed, whose clock begins at start. It belongs to the
// calling goroutine, which it locks to its thread until Close. Close it
// before the next.
func New(seed uint64, start codec.Millis) *World {
	w := newWorld(seed, start)
	w.shut = seedProcess(reader(seed, "crypto/rand"))
	runtime.LockOSThread()
	w.owner = syscall.Gettid()
	return w
}

// newWorld makes a World that belongs to nobody yet.
func newWorld(seed uint64, start codec.Millis) *World {
	return &World{
		seed: seed, pick: stream(seed, "scheduler"), lanes: map[string]*lane{},
		limit: stillMax, now: int64(start) * int64(time.Millisecond), start: int64(start) * int64(time.Millisecond), trace: newTrace(),
	}
}

// Close ends the World and gives the process its own randomness back.
func (w *World) Close() {
	w.guard("close", "", nil)
	w.shut()
	runtime.UnlockOSThread()
	w.ready, w.lanes, w.timers = nil, nil, timers{}
}

// Seed is what the World was made from.
func (w *World) Seed() uint64 { return w.seed }

// Steps is how many steps were taken.
func (w *World) Steps() uint64 { return w.steps }

// Elapsed is the virtual time since the beginning.
func (w *World) Elapsed() time.Duration { return time.Duration(w.now - w.start) }

// lane is work that is done in its order: a mailbox, or what was posted under
// one key. It stands in the ready list once while it has work.
type lane struct {
	key    string
	queued bool
	posted queue[posting]
	work   func() // what a step does; sets nothing ready by itself
	more   func() bool
}

type posting struct {
	what string
	f    func()
}

// Post makes f ready work. Work of one key is done in the order it was
// posted, work of different keys in any order. what names it in the trace.
func (w *World) Post(key, what string, f func()) {
	w.guard("post", key, nil)
	l := w.lanes[key]
	if l == nil {
		l = &lane{key: key}
		l.work = func() {
			p := l.posted.pop()
			w.trace.step(w.now, key, p.what, 0)
			p.f()
		}
		l.more = func() bool { return l.posted.len() > 0 }
		w.lanes[key] = l
	}
	l.posted.push(posting{what, f})
	w.wake(l)
}

func (w *World) wake(l *lane) {
	if !l.queued {
		l.queued = true
		w.ready = append(w.ready, l)
	}
}

// Step does one piece of work. It is false when there is none and no timer.
func (w *World) Step() bool {
	w.guard("step", "", nil)
	return w.step()
}

func (w *World) step() bool {
	if len(w.ready) == 0 && !w.timers.due(w.now) {
		at, ok := w.timers.next()
		if !ok {
			return false
		}
		w.now, w.still = at, 0
	}
	w.steps++
	w.still++
	n := len(w.ready)
	if w.timers.due(w.now) {
		n++
	}
	i := w.pick.IntN(n)
	if i == len(w.ready) {
		w.fire()
		return true
	}
	l := w.ready[i]
	last := len(w.ready) - 1
	w.ready[i], w.ready[last] = w.ready[last], nil
	w.ready, l.queued = w.ready[:last], false
	l.work()
	if l.more() {
		w.wake(l)
	}
	return true
}

// Run takes steps until the condition holds. The error says why it does not:
// nothing is left to do, the virtual time is up, or a livelock; and names the
// seed.
func (w *World) Run(until func() bool, within time.Duration) error {
	w.guard("run", "", nil)
	end := w.now + int64(within)
	for !until() {
		if w.past(end) {
			return w.failf("not reached within %s of virtual time", within)
		}
		if !w.step() {
			return w.failf("nothing is left to do, and what was waited for has not happened")
		}
		if w.still > w.limit {
			return w.failf("livelock: %d steps without the clock moving", w.still)
		}
	}
	return nil
}

// RunFor takes all steps of the next d of virtual time. The error is a
// livelock's.
func (w *World) RunFor(d time.Duration) error {
	w.guard("run", "", nil)
	end := w.now + int64(d)
	for !w.past(end) && w.step() {
		if w.still > w.limit {
			return w.failf("livelock: %d steps without the clock moving", w.still)
		}
	}
	w.now, w.still = end, 0
	return nil
}

// past says whether everything up to and at end is done.
func (w *World) past(end int64) bool {
	if len(w.ready) > 0 || w.timers.due(w.now) {
		return w.now > end
	}
	at, ok := w.timers.next()
	return ok && at > end
}

// failf is an error that names seed, moment and hash.
func (w *World) failf(format string, args ...any) error {
	return fmt.Errorf("world of seed %d after %d steps and %s (hash %s): %s",
		w.seed, w.steps, w.Elapsed(), w.Hash(), fmt.Sprintf(format, args...))
}

// guard panics when it is not called from the World's goroutine: such a call
// is a library or a body that started a goroutine or a timer of its own. op,
// key and message say what was called. That goroutine alone runs on its
// thread, so asking for the thread is asking for it; and a hundred times
// cheaper than a stack.
func (w *World) guard(op, key string, message any) {
	if id := syscall.Gettid(); id != w.owner {
		panic(fmt.Sprintf("world: seed %d: %s %s %T comes from a foreign goroutine: everything in the world runs on one", w.seed, op, key, message))
	}
}

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) push(x T) { q.items = append(q.items, x) }

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) pop() T {
	var none T
	x := q.items[q.head]
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return x
}
