package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// Limits bound what clients can take. Zero fields get their defaults.
type Limits = session.Limits

// Options of a Server; the zero value will do.
type Options struct {
	Limits Limits
	// Log is told what happens to listeners and connections, with keys and
	// values in turn; never of single requests. nil = silence.
	Log func(event string, fields ...any)
	// Security is what clients have to show.
	Security Security
	// Cluster answers for the cluster; nil for a broker that is asked for none.
	Cluster Cluster
}

// Server takes clients' connections to a Broker.
type Server struct {
	broker   Broker
	limits   Limits
	log      func(event string, fields ...any)
	security Security
	cluster  Cluster

	counts   counts
	answers  *budget // of all connections, as requests
	requests *budget

	mu        sync.Mutex
	entrance  *session.Entrance
	closed    chan struct{} // closed by Close
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	running   sync.WaitGroup // connections and listeners of Listen
}

// New makes a Server; nothing runs before Listen or Serve.
func New(b Broker, o Options) *Server {
	s := &Server{
		broker: b, limits: o.Limits.WithDefaults(), log: o.Log, security: o.Security, cluster: o.Cluster, closed: make(chan struct{}),
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.counts.topics.exists = s.hasTopic
	s.entrance = session.NewEntrance(s.limits)
	s.answers = newBudget(s.limits.AnswerBytes, func() { s.each((*conn).hurryWriter) })
	// Every connection may hold the early bytes of a frame, and one all of it.
	least := s.limits.Connections*earlyBytes + s.limits.FrameMax
	s.requests = newBudget(max(s.limits.BytesInFlightAll, least), func() { s.each((*conn).hurryReader) })
	if s.log == nil {
		s.log = func(string, ...any) {}
	}
	return s
}

// errClosed is what Listen and Serve say after Close.
var errClosed = codec.Errorf(codec.Stopping, "the gateway is closed")

// Listen opens a TCP listener on address, serves it until Close, and returns
// the address it got.
func (s *Server) Listen(address string) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	ok := s.track(l, func() {
		if err := s.accept(l); err != nil {
			s.log("listener failed", "address", l.Addr().String(), "error", err)
		}
	})
	if !ok {
		return nil, errors.Join(errClosed, l.Close())
	}
	return l.Addr(), nil
}

// Serve takes connections from l until Close, then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l, nil) {
		return errors.Join(errClosed, l.Close())
	}
	return s.accept(l)
}

// track keeps l for Close and runs serve, if there is one, on its goroutine.
func (s *Server) track(l net.Listener, serve func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping() {
		return false
	}
	s.listeners[l] = struct{}{}
	if serve != nil {
		s.running.Go(serve)
	}
	return true
}

// stopping says whether Close was called.
func (s *Server) stopping() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// acceptPause is how long a listener rests when there are no descriptors.
const acceptPause = 50 * time.Millisecond

func (s *Server) accept(l net.Listener) error {
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.welcome(nc)
		case s.stopping():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept clients: %w", err)
		default:
			s.log("accept failed", "address", l.Addr().String(), "error", err)
			select {
			case <-time.After(acceptPause):
			case <-s.closed:
			}
		}
	}
}

// welcome starts a connection, or says why not.
func (s *Server) welcome(nc net.Conn) {
	s.mu.Lock()
	var err error = errClosed
	if !s.stopping() {
		err = s.entrance.Enter(addressOf(nc))
	}
	if err == nil {
		c := newConn(s, nc)
		s.conns[c] = struct{}{}
		s.counts.connections.Add(1)
		s.running.Go(c.run)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.turnAway(nc, err)
}

// turnAway tells a connection why it is not let in. It does not wait for it:
// what it says fits into any socket's buffer.
func (s *Server) turnAway(nc net.Conn, err error) {
	code := codec.CodeOf(err)
	s.counts.refusedConns.add(code.String())
	switch code {
	case codec.Overloaded:
		s.counts.hit(hitConnections)
	case codec.TooManyConnections:
		s.counts.hit(hitAddressConns)
	}
	if code != codec.Stopping {
		s.log("connection refused", "remote", nc.RemoteAddr().String(), "reason", err)
	}
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	_, _ = nc.Write(codec.EncodeError(nil, codec.ConnectionID, err).Bytes()) // a courtesy
	_ = nc.Close()
}

// addressOf is where a connection comes from, without the port.
func addressOf(nc net.Conn) string {
	at := nc.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(at); err == nil {
		return host
	}
	return at
}

// forget is the end of a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.entrance.Leave(addressOf(c.net))
	s.counts.closed.add(c.reason)
}

// each calls do for every connection.
func (s *Server) each(do func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		do(c)
	}
}

// Connections is the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Close stops listening, ends long polls, lets requests in flight be answered
// and tells each client STOPPING. When ctx ends first the rest is cut off and
// Close returns ctx's error. Afterwards nothing of the Server runs any more.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.stopping() {
		close(s.closed)
	}
	for l := range s.listeners {
		_ = l.Close() // nothing was promised on it
	}
	for c := range s.conns {
		c.stop()
	}
	s.mu.Unlock()

	cut := context.AfterFunc(ctx, s.cut)
	s.running.Wait()
	if !cut() {
		return fmt.Errorf("close the gateway: %w", ctx.Err())
	}
	return nil
}

// cut ends every connection at once.
func (s *Server) cut() { s.each(func(c *conn) { c.kill(closedByCut) }) }
