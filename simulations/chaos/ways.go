package chaos

import "sync"

// ways remembers what is wrong with each way of a Lan, so that two troubles which
// overlap are both there, and what is left when one is over is the other.
type ways struct {
	lan  *Lan
	mu   sync.Mutex
	laid map[[2]*Host][]*Way
}

func newWays(l *Lan) *ways { return &ways{lan: l, laid: map[[2]*Host][]*Way{}} }

// lay makes the way from one host to another bad, until lift.
func (w *ways) lay(from, to *Host, bad Way) (lift func()) {
	key, one := [2]*Host{from, to}, &bad
	w.mu.Lock()
	defer w.mu.Unlock()
	w.laid[key] = append(w.laid[key], one)
	w.lan.Switch.Set(from, to, merged(w.laid[key]))
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		var left []*Way
		for _, o := range w.laid[key] {
			if o != one {
				left = append(left, o)
			}
		}
		w.laid[key] = left
		w.lan.Switch.Set(from, to, merged(left))
	}
}

// around makes all ways to and from a host bad.
func (w *ways) around(h *Host, bad Way) (lift func()) {
	var lifts []func()
	for _, o := range w.lan.hosts {
		if o != h {
			lifts = append(lifts, w.lay(h, o, bad), w.lay(o, h, bad))
		}
	}
	return func() {
		for _, l := range lifts {
			l()
		}
	}
}

// merged is as bad as all of them.
func merged(list []*Way) (all Way) {
	for _, one := range list {
		all.Cut, all.Stalled, all.Mixed = all.Cut || one.Cut, all.Stalled || one.Stalled, all.Mixed || one.Mixed
		all.Loss, all.Double, all.Garbled = max(all.Loss, one.Loss), max(all.Double, one.Double), max(all.Garbled, one.Garbled)
		all.Slow = max(all.Slow, one.Slow)
	}
	return all
}
