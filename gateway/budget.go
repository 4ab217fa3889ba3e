package gateway

import (
	"context"
	"slices"
	"sync"
	"time"
)

// budget bounds bytes that all connections may hold together. Who waits is
// served in the order of asking.
type budget struct {
	mu      sync.Mutex
	all     int
	free    int // below zero when somebody could not be refused
	waiting []*grant
	waits   uint64        // how often somebody had to wait
	waited  time.Duration // how long in all
	crowd   func()        // called when somebody begins to wait behind nobody; may be nil
}

// grant is one taker that waits: granted is closed, below budget.mu, when it
// has its bytes.
type grant struct {
	bytes   int
	granted chan struct{}
}

func newBudget(all int, crowd func()) *budget { return &budget{all: all, free: all, crowd: crowd} }

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
	if b.try(bytes) {
		return true
	}
	g := &grant{bytes: bytes, granted: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, g)
	b.serve()
	first := len(b.waiting) == 1
	b.mu.Unlock()
	if first && b.crowd != nil {
		b.crowd()
	}
	began := time.Now()
	ok := b.wait(ctx, g)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits++
	b.waited += time.Since(began)
	return ok
}

func (b *budget) wait(ctx context.Context, g *grant) bool {
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
		b.free += g.bytes // it was granted meanwhile
	}
	b.serve()
	return false
}

// give returns bytes; less than none takes them, whether they are there or
// not.
func (b *budget) give(bytes int) {
	if bytes == 0 {
		return
	}
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

// crowded says whether somebody waits.
func (b *budget) crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0
}

// usage is the bytes that are out, and how often and how long somebody waited.
func (b *budget) usage() (held int, waits uint64, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all - b.free, b.waits, b.waited
}
