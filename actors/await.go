package actors

import (
	"github.com/troupe-mq/troupe/codec"
)

// waiters are readers at the tail, in the order they came.
type waiters struct{ list []*await }

// await keeps m until the watermark passes its offset or its time is over.
func (p *Partition) await(m *await) {
	v := p.pub.view.Load()
	if p.disk.closed || p.pub.state.Load().read != nil || v != nil && v.HighWatermark() > m.offset {
		m.done()
		return
	}
	m.cancel = p.house.clock.After(m.wait, func() { p.post(&deadline{m}) })
	p.waiters.list = append(p.waiters.list, m)
}

// passed tells those whose offset is below the watermark.
func (w *waiters) passed(watermark codec.Offset) {
	keep := w.list[:0]
	for _, m := range w.list {
		if m.offset < watermark {
			m.cancel()
			m.done()
			continue
		}
		keep = append(keep, m)
	}
	clear(w.list[len(keep):])
	w.list = keep
}

// all tells everyone: there is nothing to wait for here.
func (w *waiters) all() {
	for _, m := range w.list {
		m.cancel()
		m.done()
	}
	w.list = nil
}

// leave tells m that its time is over.
func (w *waiters) leave(m *await) {
	if w.drop(m) {
		m.done()
	}
}

// drop forgets m.
func (w *waiters) drop(m *await) bool {
	for i := range w.list {
		if w.list[i] == m {
			m.cancel()
			w.list = append(w.list[:i], w.list[i+1:]...)
			return true
		}
	}
	return false
}
