package client

import (
	"context"
	"sync"
)

// budget bounds bytes. Those who wait get theirs in order. What is larger
// than all of it may pass alone.
type budget struct {
	mu    sync.Mutex
	most  int
	used  int
	queue []claim
}

// claim is one that waits for bytes.
type claim struct {
	bytes   int
	granted chan struct{}
}

func (b *budget) fits(n int) bool { return b.used == 0 || b.used+n <= b.most }

// try takes n bytes if they are there and nobody waits.
func (b *budget) try(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || !b.fits(n) {
		return false
	}
	b.used += n
	return true
}

// take waits for n bytes, until ctx or over ends.
func (b *budget) take(ctx context.Context, over <-chan struct{}, n int) error {
	b.mu.Lock()
	if len(b.queue) == 0 && b.fits(n) {
		b.used += n
		b.mu.Unlock()
		return nil
	}
	c := claim{n, make(chan struct{})}
	b.queue = append(b.queue, c)
	b.mu.Unlock()
	var err error
	select {
	case <-c.granted:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-over:
		err = context.Canceled
	}
	b.forget(c)
	return err
}

// forget takes a claim back, and what it may have been granted.
func (b *budget) forget(c claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.queue {
		if b.queue[i].granted == c.granted {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.grant() // one behind it may fit
			return
		}
	}
	b.used -= c.bytes
	b.grant()
}

// give returns n bytes.
func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.grant()
}

func (b *budget) grant() {
	for len(b.queue) > 0 && b.fits(b.queue[0].bytes) {
		b.used += b.queue[0].bytes
		close(b.queue[0].granted)
		b.queue = b.queue[1:]
	}
}

// bytes is how many are taken.
func (b *budget) bytes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
