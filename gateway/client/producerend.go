package client

import (
	"context"
	"fmt"
)

// flushing is a Flush at work, and the first error since the one before it.
type flushing struct{ first error }

// Flush sends what waits and returns when all records that were taken before
// it are answered, with the first error since the last Flush. Those that go on
// at the same time all return it.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	f := &flushing{p.first}
	p.flushes[f] = struct{}{}
	p.mu.Unlock()
	marks := p.marks()
	p.hurry()
	err := p.waitFor(ctx, marks)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.flushes, f)
	if err != nil {
		return err // and the next Flush tells the other
	}
	p.first = nil
	return f.first
}

// marks are the numbers of each lane's last parcels.
func (p *Producer) marks() []uint64 {
	lanes := *p.lanes.Load()
	marks := make([]uint64, len(lanes))
	for i, l := range lanes {
		l.mu.Lock()
		marks[i] = l.made
		l.mu.Unlock()
	}
	return marks
}

// waitFor returns when all parcels up to marks were told.
func (p *Producer) waitFor(ctx context.Context, marks []uint64) error {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	for {
		p.mu.Lock()
		change := p.change
		p.mu.Unlock()
		left := p.records(marks)
		if left == 0 {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("flush %q: %d records without an answer: %w", p.topic, left, ctx.Err())
		}
	}
}

// records counts those in parcels up to marks that were not told yet.
func (p *Producer) records(marks []uint64) (n int) {
	lanes := *p.lanes.Load()
	for i, mark := range marks {
		l := lanes[i]
		l.mu.Lock()
		for _, q := range l.parcels {
			if q.number <= mark {
				n += q.builder.Count()
			}
		}
		l.mu.Unlock()
	}
	return n
}

// note keeps the first error for Flush, for each that is at work.
func (p *Producer) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = err
	}
	for f := range p.flushes {
		if f.first == nil {
			f.first = err
		}
	}
}

// ended wakes those who wait for parcels to be told.
func (p *Producer) ended() {
	if p.waiting.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.change)
	p.change = make(chan struct{})
}

// Close flushes and ends the producer. When ctx ends first, records without
// an answer end with an error: UNKNOWN for those that were sent. When Close
// returns, every record was told what became of it, once. It must not be
// called from a callback. A further Close waits for the first, and says what
// that one said.
func (p *Producer) Close(ctx context.Context) error {
	if p.closed.Swap(true) {
		select {
		case <-p.gone:
			return p.result
		case <-ctx.Done():
			return fmt.Errorf("wait for the close of the producer for %q: %w", p.topic, ctx.Err())
		}
	}
	p.result = p.Flush(ctx)
	p.cancel()
	close(p.stop)
	<-p.kept
	p.giveUp()
	close(p.gone)
	return p.result
}

// giveUp tells those who still wait, and waits for callbacks that run
// elsewhere.
func (p *Producer) giveUp() {
	for _, l := range *p.lanes.Load() {
		l.giveUp()
	}
	// Callbacks do not wait, so this ends.
	if err := p.waitFor(context.Background(), p.marks()); err != nil {
		panic("client: a context without an end ended")
	}
}

// giveUp ends all parcels of a lane: UNKNOWN for those in flight.
func (l *lane) giveUp() {
	l.mu.Lock()
	var left []*parcel
	var reasons []error
	for _, q := range l.parcels {
		switch q.stage {
		case told:
			continue
		case sealed: // its builder sees that it is too late
			continue
		case flying:
			reasons = append(reasons, errNoAnswer)
		default:
			reasons = append(reasons, errNotSent)
		}
		q.stage = told
		left = append(left, q)
	}
	l.open = nil
	l.mu.Unlock()
	for i, q := range left {
		q.tell(0, reasons[i])
	}
}
