package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Flush sends what waits and returns when all records that were taken before
// it are answered, with the first error since the last Flush.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealAll()
	if err := p.waitFor(ctx, p.unanswered()); err != nil {
		return err
	}
	err := p.first
	p.first = nil
	return err
}

// unanswered are the open parcels in the order in which they were made.
func (p *Producer) unanswered() []*parcel {
	all := make([]*parcel, 0, len(p.open))
	for q := range p.open {
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b *parcel) int { return cmp.Compare(a.number, b.number) })
	return all
}

// waitFor gives up the lock until none of parcels is open.
func (p *Producer) waitFor(ctx context.Context, parcels []*parcel) error {
	for i, q := range parcels {
		for p.isOpen(q) {
			if err := p.waitForChange(ctx); err != nil {
				return fmt.Errorf("flush %q: %d records without an answer: %w", p.topic, p.records(parcels[i:]), err)
			}
		}
	}
	return nil
}

func (p *Producer) isOpen(q *parcel) bool {
	_, open := p.open[q]
	return open
}

// records counts those in the open ones of parcels.
func (p *Producer) records(parcels []*parcel) (n int) {
	for _, q := range parcels {
		if p.isOpen(q) {
			n += q.records
		}
	}
	return n
}

// Close flushes and ends the producer. When ctx ends first, records without
// an answer end with an error: UNKNOWN for those that were sent. When Close
// returns, every record was told what became of it, once. It must not be
// called from a callback. A further Close waits for the first, and says what
// that one said.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if was {
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
	<-p.ended
	p.giveUp()
	close(p.gone)
	return p.result
}

// giveUp tells those who still wait that the outcome is not known. The sender
// is gone: whatever is open was sent.
func (p *Producer) giveUp() {
	p.mu.Lock()
	left := p.unanswered()
	p.mu.Unlock()
	for _, q := range left {
		p.answered(q, 0, codec.Errorf(codec.Unknown, "PRODUCE: no answer before the producer was closed"))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// A callback may still run on a link's goroutine; callbacks do not wait.
	if err := p.waitFor(context.Background(), left); err != nil {
		panic("client: a context without an end ended")
	}
}
