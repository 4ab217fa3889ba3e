package gateway

import (
	"context"
	"slices"
	"sync"
)

// budget bounds the bytes that all connections' writers may hold in answers
// that are being made or sent. Who waits is served in the order of asking.
type budget struct {
	mu      sync.Mutex
	all     int
	free    int
	waiting []*grant
}

// grant is one taker that waits: granted is closed, below budget.mu, when it
// has its bytes.
type grant struct {
	bytes   int
	granted chan struct{}
}

func newBudget(all int) *budget { return &budget{all: all, free: all} }

// clamp is what bytes cost: an answer larger than all there is takes all.
func (b *budget) clamp(bytes int) int { return min(bytes, b.all) }

// try takes bytes if nobody has to wait for them.
func (b *budget) try(bytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 || b.free < bytes {
		return false
	}
	b.free -= bytes
	return true
}

// take waits for bytes; false when ctx ended first.
func (b *budget) take(ctx context.Context, bytes int) bool {
	g := &grant{bytes: bytes, granted: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, g)
	b.serve()
	b.mu.Unlock()
	select {
	case <-g.granted:
		return true
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, g); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.free += bytes // it was granted meanwhile
	}
	b.serve()
	return false
}

// give returns bytes.
func (b *budget) give(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += bytes
	b.serve()
}

// serve grants what there is room for, the first first.
func (b *budget) serve() {
	for len(b.waiting) > 0 && b.waiting[0].bytes <= b.free {
		b.free -= b.waiting[0].bytes
		close(b.waiting[0].granted)
		b.waiting = slices.Delete(b.waiting, 0, 1)
	}
}
