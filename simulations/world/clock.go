package world

import (
	"container/heap"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Now is the virtual time.
func (w *World) Now() codec.Millis { return codec.Millis(w.now / int64(time.Millisecond)) }

// After does f as a step of its own when d has passed. cancel is no more than
// a wish: a timer that fired is not taken back.
func (w *World) After(d time.Duration, what string, f func()) (cancel func()) {
	w.guard("after", what, nil)
	w.seq++
	t := &timer{at: w.now + max(0, int64(d)), seq: w.seq, what: what, f: f}
	heap.Push(&w.timers, t)
	return func() {
		w.guard("cancel", what, nil)
		t.f = nil
	}
}

// fire does the next timer that is due.
func (w *World) fire() {
	t := heap.Pop(&w.timers).(*timer)
	if t.f != nil {
		w.trace.step(w.now, "timer", t.what, t.seq)
		t.f()
	}
}

// timer is something to do at a moment; f is nil once it was cancelled.
type timer struct {
	at   int64 // ns since 1970
	seq  uint64
	what string
	f    func()
}

// timers is a heap ordered by (at, seq).
type timers struct{ list []*timer }

func (t *timers) due(now int64) bool {
	at, ok := t.next()
	return ok && at <= now
}

// next is the moment of the earliest timer that was not cancelled.
func (t *timers) next() (at int64, ok bool) {
	for len(t.list) > 0 && t.list[0].f == nil {
		heap.Pop(t)
	}
	if len(t.list) == 0 {
		return 0, false
	}
	return t.list[0].at, true
}

func (t *timers) Len() int { return len(t.list) }

func (t *timers) Less(i, j int) bool {
	a, b := t.list[i], t.list[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (t *timers) Swap(i, j int) { t.list[i], t.list[j] = t.list[j], t.list[i] }

func (t *timers) Push(x any) { t.list = append(t.list, x.(*timer)) }

func (t *timers) Pop() any {
	last := len(t.list) - 1
	x := t.list[last]
	t.list[last] = nil
	t.list = t.list[:last]
	return x
}
