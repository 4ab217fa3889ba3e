package world

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// Life is one run of one simulated process, from its start to its kill. It is
// what a broker is given in place of the real world: a clock, chance, a
// dispatcher and mailboxes, an executor for blocking calls. After Kill none
// of it does anything any more: what was queued is never delivered, timers do
// not fire, and no one is told. That is kill -9.
type Life struct {
	w    *World
	name string
	dead bool
	ends []func() // called at its end

	paused bool
	held   []func()   // what was due while it stood still
	boxes  []*mailbox // to be woken then
	skew   time.Duration
	drift  float64 // of the clock, a part of the time since then
	since  codec.Millis
	slow   time.Duration // more, for each job of the disk

	wounded bool // a call of its disk failed or hung: some of it ended for good
}

// Life begins a life. name must tell apart all lives of the World, n1.1 and
// n1.2 for instance: its chance is drawn from it.
func (w *World) Life(name string) *Life { return &Life{w: w, name: name} }

// Name is what the life was begun with.
func (l *Life) Name() string { return l.name }

// Kill ends the life at once.
func (l *Life) Kill() {
	l.w.Note(l.name, "killed", 0)
	l.dead = true
	for _, f := range l.ends {
		f()
	}
	l.ends = nil
}

// OnKill has f called when the life is killed: whoever had a connection to the
// process learns that it is closed.
func (l *Life) OnKill(f func()) { l.ends = append(l.ends, f) }

// Dead says whether the life was killed.
func (l *Life) Dead() bool { return l.dead }

// Pause makes the life stand still, as SIGSTOP does: nothing of it happens
// until Resume.
func (l *Life) Pause() {
	l.w.Note(l.name, "paused", 0)
	l.paused = true
}

// Resume lets the life go on. What was due meanwhile is due now.
func (l *Life) Resume() {
	if !l.paused {
		return
	}
	l.w.Note(l.name, "resumed", 0)
	l.paused = false
	held := l.held
	l.held = nil
	for _, f := range held {
		l.w.After(0, l.name, func() { l.when(f) })
	}
	for _, m := range l.boxes {
		m.wake()
	}
}

// when does f, unless the life is dead, and not while it stands still.
func (l *Life) when(f func()) {
	switch {
	case l.dead:
	case l.paused:
		l.held = append(l.held, f)
	default:
		f()
	}
}

// Skew sets the life's clock so much ahead of the World's, or behind.
func (l *Life) Skew(by time.Duration) { l.skew, l.drift = by, 0 }

// Drift has the life's clock, and all that it times, go faster than the World's by
// a part, 0.1 for instance, or slower.
func (l *Life) Drift(rate float64) {
	l.skew = time.Duration(l.Now()-l.w.Now()) * time.Millisecond
	l.drift, l.since = rate, l.w.Now()
}

// Slow makes every job of the life's disk take so much longer.
func (l *Life) Slow(by time.Duration) { l.slow = by }

// Now is the time as the life's clock has it.
func (l *Life) Now() codec.Millis {
	return l.w.Now() + codec.Millis(l.skew.Milliseconds()) + codec.Millis(l.drift*float64(l.w.Now()-l.since))
}

// After does f when d has passed, if the life is not dead by then.
func (l *Life) After(d time.Duration, f func()) (cancel func()) {
	if l.drift != 0 {
		d = time.Duration(float64(d) / (1 + l.drift))
	}
	return l.w.After(d, l.name, func() { l.when(f) })
}

// Rand is the life's own generator; each call begins it anew.
func (l *Life) Rand() *rand.Rand { return l.w.Rand(l.name) }

// Reader gives the life's own random bytes; each call begins anew.
func (l *Life) Reader() io.Reader { return l.w.Reader(l.name) }

// Props makes an actor run in this life: one message a step. Every Props of
// the life needs them.
func (l *Life) Props() []actor.PropsOption {
	return []actor.PropsOption{actor.WithDispatcher(l.Dispatcher()), actor.WithMailbox(l.Mailbox)}
}

// Dispatcher runs what is scheduled in the life's order. The life's own
// mailboxes do not use it.
func (l *Life) Dispatcher() actor.Dispatcher { return dispatcher{l} }

type dispatcher struct{ l *Life }

// Schedule makes fn a step of the world.
func (d dispatcher) Schedule(fn func()) {
	d.l.w.Post(d.l.name+"/dispatcher", "scheduled", func() { d.l.when(fn) })
}

// Throughput is one message a step.
func (d dispatcher) Throughput() int { return 1 }

// Executor does blocking jobs in place of a pool of goroutines: each is a
// step of its own, a delay between the two later, drawn from the seed. Jobs
// may overtake each other. A job that hangs in a call of a Disk never ends;
// the world goes on without it.
func (l *Life) Executor(least, most time.Duration) func(job func()) {
	if least < 0 || most < least {
		panic(fmt.Sprintf("world: executor with delays from %s to %s", least, most))
	}
	chance := l.w.Rand(l.name + "/executor")
	return func(job func()) {
		d := least + time.Duration(chance.Int64N(int64(most-least)+1)) + l.slow
		l.w.After(d, l.name+"/job", func() { l.when(func() { unlessHung(job) }) })
	}
}

// hung is what a call that hangs panics with: the goroutine that would wait
// for ever in production is abandoned here. It is deliberately no error.
type hung struct{ call string }

// unlessHung does f, and says whether it hung.
func unlessHung(f func()) (hangs bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, hangs = r.(hung); !hangs {
				panic(r)
			}
		}
	}()
	f()
	return false
}

// String is for messages of tests.
func (h hung) String() string { return "hung in " + h.call }
