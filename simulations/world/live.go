package world

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// This file is the second way of driving a World: beside goroutines that are
// not the World's own, on the clock of a testing/synctest bubble.

// driver runs a World in a bubble. The World is whose goroutine holds mu: the
// driver's for a round of steps, or a foreign one (of a gateway, of a test)
// between enter and exit. What a step calls out to must not enter.
type driver struct {
	w      *World
	repeat string // the command that does all of it again
	ends   int64  // when the World has to be over, ns since 1970

	mu    sync.Mutex
	until int64  // when the driver wakes by itself, ns since 1970
	look  func() // called at the end of each round
	last  func() // called before the process is ended

	poked         chan struct{} // there is work before that
	stop, stopped chan struct{}
}

// newDriver makes the World of seed, whose clock is that of the bubble.
func newDriver(seed uint64, within time.Duration, repeat string) *driver {
	now := time.Now()
	w := newWorld(seed, codec.Millis(now.UnixMilli()))
	w.shut = seedProcess(&shared{from: reader(seed, "crypto/rand")})
	return &driver{
		w: w, repeat: repeat, ends: now.Add(within).UnixNano(), look: func() {}, last: func() {},
		poked: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// start begins to drive, until halt.
func (d *driver) start() { go d.run() }

// halt ends the World; its goroutine is gone when it returns.
func (d *driver) halt() {
	close(d.stop)
	<-d.stopped
	d.enter()
	d.w.shut()
	d.w.ready, d.w.lanes, d.w.timers = nil, nil, timers{}
	d.leave()
}

// enter lets the calling goroutine act inside the World as a step does, until
// exit. The guard against foreign goroutines takes it for the World's own.
func (d *driver) enter() {
	d.mu.Lock()
	runtime.LockOSThread()
	d.w.owner = syscall.Gettid()
	d.w.advance(time.Now().UnixNano())
}

// exit ends what enter began, and wakes the driver if there is something for
// it now.
func (d *driver) exit() {
	at, ok := d.w.timers.next()
	early := len(d.w.ready) > 0 || ok && at < d.until
	d.leave()
	if early {
		select {
		case d.poked <- struct{}{}:
		default:
		}
	}
}

func (d *driver) leave() {
	d.w.owner = 0
	runtime.UnlockOSThread()
	d.mu.Unlock()
}

// run takes all steps of a moment, then sleeps until the next. It begins each
// round when every other goroutine of the bubble waits for something, which is
// what its short sleep is for: so what a round has to do depends little on how
// Go schedules them.
func (d *driver) run() {
	defer close(d.stopped)
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		time.Sleep(time.Nanosecond)
		alarm.Reset(time.Duration(d.round() - time.Now().UnixNano()))
		select {
		case <-d.poked:
		case <-alarm.C:
		case <-d.stop:
			return
		}
	}
}

// round takes all steps that there are now and returns the moment of the next,
// ns since 1970.
func (d *driver) round() int64 {
	d.enter()
	defer d.leave()
	w := d.w
	slices.SortStableFunc(w.ready, func(a, b *lane) int { return strings.Compare(a.key, b.key) })
	for len(w.ready) > 0 || w.timers.due(w.now) {
		if w.step(); w.still > w.limit {
			d.fail("livelock: %d steps within a millisecond", w.still)
		}
	}
	d.look()
	if w.now >= d.ends {
		d.fail("the test is not over yet: it may take %s of virtual time", time.Duration(d.ends-w.start))
	}
	d.until = d.ends
	if at, ok := w.timers.next(); ok {
		d.until = min(at, d.ends)
	}
	return d.until
}

// fail ends the process: nobody can be told who would stop.
func (d *driver) fail(format string, args ...any) {
	d.last()
	panic(fmt.Sprintf("%v\nrepeat it: %s", d.w.failf(format, args...), d.repeat))
}

// advance moves the clock to now. Steps count as being at one instant while it
// stays within a millisecond.
func (w *World) advance(now int64) {
	if now/int64(time.Millisecond) != w.now/int64(time.Millisecond) {
		w.still = 0
	}
	w.now = max(w.now, now)
}

// shared is a Reader for several goroutines.
type shared struct {
	mu   sync.Mutex
	from io.Reader
}

// Read reads from the one below.
func (s *shared) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from.Read(p)
}
