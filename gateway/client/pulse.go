package client

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// ear is a connection that notes when it reads something: the one sign that
// the other side lives. What is written proves nothing, for the kernels take
// bytes for a process that is stopped.
type ear struct {
	net.Conn
	heard *atomic.Uint64
}

// Read implements net.Conn.
func (e ear) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	if n > 0 {
		e.heard.Add(1)
	}
	return n, err
}

// Silence is counted in halves of KeepAlive. It is counted, not measured: a
// client that was itself stopped for a while has not heard a server for one
// half only.
const (
	quietAsk = 2 // halves, then the server is asked
	quietEnd = 4 // halves, then it is taken for dead
)

// feelPulse asks a server that is silent whether it is there, also while
// requests wait, and ends the link when it stays silent.
func (l *link) feelPulse(keepAlive time.Duration) {
	tick := time.NewTicker(max(keepAlive/2, 1))
	defer tick.Stop()
	heard, quiet := uint64(0), 0
	for {
		select {
		case <-l.dead:
			return
		case <-tick.C:
		}
		if now := l.heard.Load(); now != heard {
			heard, quiet = now, 0
			continue
		}
		switch quiet++; quiet {
		case quietAsk:
			l.ping()
		case quietEnd:
			l.fail(fmt.Errorf("nothing was heard of it for %v, nor an answer to a ping", 2*keepAlive))
			return
		}
	}
}

// ping asks whether the server is there. It has a slot of its own, so that
// requests that wait for answers cannot keep it from asking.
func (l *link) ping() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	p := newPending(codec.OpPing, nobody{})
	p.pulse = true
	l.newID(p)
	p.encode(codec.Ping{})
	l.enqueue(p)
}

// nobody waits for the answer to a ping.
type nobody struct{}

func (nobody) answered(*answer, error) {}
func (nobody) left()                   {}
