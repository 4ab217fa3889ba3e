package actors

import "sync/atomic"

// leave closes every replica. All who ask for it are told when it is done.
func (k *keeper) leave(m *leave) {
	k.leaving = append(k.leaving, m.done)
	if len(k.leaving) > 1 {
		if k.left {
			m.done()
		}
		return
	}
	if k.house.link != nil {
		k.house.send(k.house.ferry, endFerry{})
	}
	for _, w := range k.waiting {
		w.done(errStopping)
	}
	k.waiting = nil
	if len(k.order) == 0 {
		k.gone()
		return
	}
	var open atomic.Int64
	open.Store(int64(len(k.order)))
	one := func() {
		if open.Add(-1) == 0 {
			k.post(allClosed{})
		}
	}
	for _, g := range k.order {
		k.kept[g].handle.tell(&closing{done: one}, func(error) { one() })
	}
}

// gone tells those who asked that every replica is closed.
func (k *keeper) gone() {
	k.left = true
	for _, done := range k.leaving {
		done()
	}
}
