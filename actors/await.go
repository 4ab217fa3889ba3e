package actors

import (
	"container/list"

	"github.com/troupe-mq/troupe/codec"
)

// waiters are readers at the tail, in the order they came. Each knows its
// place, so that thousands may leave at once.
type waiters struct{ list list.List }

// await keeps m until the watermark passes its offset or its time is over.
func (p *Partition) await(m *await) {
	v := p.pub.view.Load()
	if p.disk.closed || p.pub.state.Load().read != nil || v != nil && v.HighWatermark() > m.offset {
		m.done()
		return
	}
	m.cancel = p.house.clock.After(m.wait, func() { p.post(&deadline{m}) })
	m.place = p.waiters.list.PushBack(m)
}

// passed tells those whose offset is below the watermark.
func (w *waiters) passed(watermark codec.Offset) {
	for e := w.list.Front(); e != nil; {
		m := e.Value.(*await)
		e = e.Next()
		if m.offset < watermark {
			w.leave(m)
		}
	}
}

// all tells everyone: there is nothing to wait for here.
func (w *waiters) all() {
	for e := w.list.Front(); e != nil; e = w.list.Front() {
		w.leave(e.Value.(*await))
	}
}

// leave tells m that its time is over.
func (w *waiters) leave(m *await) {
	if w.drop(m) {
		m.done()
	}
}

// drop forgets m; false when it was not waiting any more.
func (w *waiters) drop(m *await) bool {
	if m.place == nil {
		return false
	}
	w.list.Remove(m.place)
	m.place = nil
	m.cancel()
	return true
}
