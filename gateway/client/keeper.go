package client

import (
	"time"
)

// keep is the producer's goroutine: it seals what has lingered long enough,
// sends again when a pause is over, and gives up what is late.
func (p *Producer) keep() {
	defer close(p.kept)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	asked := time.Now()
	for {
		p.wakeAt.Store(0) // whoever opens a parcel from now on is heard
		now := time.Now()
		if now.Sub(asked) >= p.client.options.MetadataAge {
			asked = now
			p.client.refresh(p.topic, p)
		}
		next := asked.Add(p.client.options.MetadataAge)
		for _, l := range *p.lanes.Load() {
			if at := l.tend(now); at.Before(next) {
				next = at
			}
		}
		p.wakeAt.Store(next.UnixNano())
		timer.Reset(time.Until(next))
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.stop:
			return
		}
	}
}

// expect wakes the keeper when it would wake too late.
func (p *Producer) expect(at time.Time) {
	if wake := p.wakeAt.Load(); wake == 0 || at.UnixNano() < wake {
		p.look()
	}
}

// look wakes the keeper.
func (p *Producer) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// tend does what is due for a lane, and says when to look again.
func (l *lane) tend(now time.Time) (next time.Time) {
	l.mu.Lock()
	late, reasons := l.expire(now)
	out := l.ripe(now)
	next = l.horizon(now)
	l.mu.Unlock()
	for i, q := range late {
		q.tell(0, reasons[i])
	}
	if out != nil {
		l.ship(out)
	} else {
		l.pump()
	}
	return next
}

// ripe is the open parcel, sealed, when it lingered long enough and could
// leave at once. While it could not it goes on filling.
func (l *lane) ripe(now time.Time) *parcel {
	if l.open == nil || l.open.due.After(now) || !l.mayLeave() {
		return nil
	}
	return l.seal()
}

// expire ends parcels whose time is over.
func (l *lane) expire(now time.Time) (late []*parcel, reasons []error) {
	for _, q := range l.parcels {
		if q.deadline.After(now) {
			break
		}
		if q.stage == told || q.stage == sealed {
			continue // being told, or being built by somebody
		}
		if q == l.open {
			l.open = nil
		}
		err := l.late(q)
		l.fail(q, err)
		late, reasons = append(late, q), append(reasons, err)
	}
	return late, reasons
}

// horizon is when the lane wants to be tended next.
func (l *lane) horizon(now time.Time) time.Time {
	next := now.Add(time.Hour)
	earlier := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if len(l.parcels) > 0 {
		earlier(l.parcels[0].deadline)
	}
	if l.open != nil && l.open.due.After(now) {
		earlier(l.open.due)
	}
	if l.mending && l.retryAt.After(now) {
		earlier(l.retryAt)
	}
	return next
}
