package link

import (
	"net"
	"sync"
)

// Bounds on connections of which nothing is known yet.
const (
	strangersMax   = 256
	strangersOfMax = 32 // from one address
)

// entrance holds the connections of which nothing is known yet. When there are
// too many, the one that has waited longest makes room: who means it is through
// in milliseconds, who does not waits for the deadline.
type entrance struct {
	mu      sync.Mutex
	waiting []*stranger // in the order in which they came
	closed  bool
	pushed  uint64 // out, for others
}

type stranger struct {
	conn    net.Conn
	address string // without the port
}

func newEntrance() *entrance { return &entrance{} }

// enter lets a connection in, and closes another when that is one too many;
// false when the entrance is closed.
func (e *entrance) enter(c net.Conn) (*stranger, bool) {
	s := &stranger{c, hostOf(c.RemoteAddr().String())}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false
	}
	of, oldest := 0, -1
	for i, w := range e.waiting {
		if w.address == s.address {
			if of++; oldest < 0 {
				oldest = i
			}
		}
	}
	switch {
	case of >= strangersOfMax:
		e.push(oldest)
	case len(e.waiting) >= strangersMax:
		e.push(0)
	}
	e.waiting = append(e.waiting, s)
	return s, true
}

// push puts the i-th out.
func (e *entrance) push(i int) {
	_ = e.waiting[i].conn.Close()
	e.waiting = append(e.waiting[:i], e.waiting[i+1:]...)
	e.pushed++
}

// leave is that it is known who s is, or that s has gone.
func (e *entrance) leave(s *stranger) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, w := range e.waiting {
		if w == s {
			e.waiting = append(e.waiting[:i], e.waiting[i+1:]...)
			return
		}
	}
}

// close puts everybody out.
func (e *entrance) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, s := range e.waiting {
		_ = s.conn.Close()
	}
	e.waiting = nil
}

// counts are how many wait, and how many were pushed out.
func (e *entrance) counts() (waiting int, pushed uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.waiting), e.pushed
}

// hostOf is an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
