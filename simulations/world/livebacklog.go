package world

import (
	"net"
	"sync"
)

// backlog is the connections that a gateway has not accepted yet; it is a
// net.Listener.
type backlog struct {
	mu      sync.Mutex
	changed sync.Cond
	at      address
	list    []*end
	still   bool
	closed  bool
}

func newBacklog(at string, still bool) *backlog {
	b := &backlog{at: address(at), still: still}
	b.changed.L = &b.mu
	return b
}

func (b *backlog) push(e *end) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, e)
	b.changed.Broadcast()
}

func (b *backlog) stand(still bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.still = still
	b.changed.Broadcast()
}

// Accept waits for a connection.
func (b *backlog) Accept() (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && (b.still || len(b.list) == 0) {
		b.changed.Wait()
	}
	if b.closed {
		return nil, net.ErrClosed
	}
	e := b.list[0]
	b.list = b.list[1:]
	return e, nil
}

// Close ends it.
func (b *backlog) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.changed.Broadcast()
	return nil
}

// Addr is where it listens.
func (b *backlog) Addr() net.Addr { return b.at }
