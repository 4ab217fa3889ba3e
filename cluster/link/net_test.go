package link

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a network in memory, between hosts that have names. It lives in
// one synctest bubble.
type memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener // by address, host:port
	conns     map[*memoryConn]struct{}
	dead      map[string]bool    // hosts
	cut       map[[2]string]bool // what is written from one to the other vanishes
	dials     map[string]int     // by address
	holes     map[string]bool    // addresses where nothing comes back
}

func newMemory() *memory {
	return &memory{listeners: map[string]*memoryListener{}, conns: map[*memoryConn]struct{}{}, dead: map[string]bool{}, cut: map[[2]string]bool{}, dials: map[string]int{}, holes: map[string]bool{}}
}

type memoryAddr string

func (a memoryAddr) Network() string { return "memory" }
func (a memoryAddr) String() string  { return string(a) }

type memoryListener struct {
	net     *memory
	address string
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// listen opens an address.
func (m *memory) listen(address string) *memoryListener {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &memoryListener{net: m, address: address, backlog: make(chan net.Conn, 64), closed: make(chan struct{})}
	m.listeners[address] = l
	return l
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		if l.net.listeners[l.address] == l {
			delete(l.net.listeners, l.address)
		}
		l.net.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.backlog:
				c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.address) }

// dialFrom is Config.Dial of a host.
func (m *memory) dialFrom(host string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		m.mu.Lock()
		m.dials[address]++
		l, hole := m.listeners[address], m.holes[address] || m.dead[host]
		if hole {
			m.mu.Unlock()
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
		}
		if l == nil {
			m.mu.Unlock()
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		a, b := net.Pipe()
		to := hostOf(address)
		near, far := &memoryConn{Conn: a, net: m, from: host, to: to, writing: make(chan struct{}, 1)}, &memoryConn{Conn: b, net: m, from: to, to: host, writing: make(chan struct{}, 1)}
		m.conns[near], m.conns[far] = struct{}{}, struct{}{}
		m.mu.Unlock()
		l.backlog <- far
		return near, nil
	}
}

type memoryConn struct {
	net.Conn
	net      *memory
	from, to string
	writing  chan struct{} // net.Pipe has a mutex here, and waiting for that is no rest for a bubble
}

func (c *memoryConn) RemoteAddr() net.Addr { return memoryAddr(c.to + ":1") }

func (c *memoryConn) Write(p []byte) (int, error) {
	c.net.mu.Lock()
	cut := c.net.cut[[2]string{c.from, c.to}]
	c.net.mu.Unlock()
	if cut {
		return len(p), nil
	}
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	return c.Conn.Write(p)
}

func (c *memoryConn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return c.Conn.Close()
}

// kill ends a host: its connections break, nobody listens there, and what it
// still does reaches nobody.
func (m *memory) kill(host string) {
	m.mu.Lock()
	m.dead[host] = true
	var ends []interface{ Close() error }
	for address, l := range m.listeners {
		if hostOf(address) == host {
			ends = append(ends, l)
		}
	}
	for c := range m.conns {
		if c.from == host || c.to == host {
			ends = append(ends, c.Conn)
		}
	}
	m.mu.Unlock()
	for _, e := range ends {
		e.Close()
	}
}

// breakAll ends all connections between hosts that stay.
func (m *memory) breakAll() {
	m.mu.Lock()
	var ends []net.Conn
	for c := range m.conns {
		ends = append(ends, c.Conn)
	}
	m.mu.Unlock()
	for _, c := range ends {
		c.Close()
	}
}

func (m *memory) set(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
}

// dialled is how often an address was.
func (m *memory) dialled(address string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dials[address]
}
