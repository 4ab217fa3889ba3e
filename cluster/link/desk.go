package link

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// desk serves one connection of a service: calls come in, and their replies go out on
// the same connection. What is under way is bounded by the window that was granted: a
// call counts until its reply is about to be written, so that a service which does not
// read comes to an end of it, and one that goes beyond it is sent away.
type desk struct {
	link   *Link
	conn   *conn
	name   string
	window codec.Window
	wake   chan struct{} // has one when there is something to write
	packet packet

	mu     sync.Mutex
	open   map[uint64]*served
	bytes  int // that those cost
	ready  []*codec.Reply
	calls  uint64
	here   bool         // it is time to say so
	leave  bool         // and goodbye, once
	bye    bool         // and goodbye, behind what is ready, as the last
	ended  bool         // nothing is read any more
	reason *codec.Error // that the service is told then
}

// served is a call under way.
type served struct {
	call    *codec.Call // without its batch, once it is replied to
	cost    int
	replied bool
	forget  func()
}

func newDesk(l *Link, c *conn) *desk {
	return &desk{link: l, conn: c, name: string(c.peer.Node), window: l.config.Window, wake: make(chan struct{}, 1), open: map[uint64]*served{}}
}

// serveService is the life of a service's connection.
func (l *Link) serveService(c *conn) error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer cancel() // who waits for credit need not, when nothing can be answered
		c.desk.write()
	}()
	err := c.desk.read(ctx)
	c.desk.finish(err)
	<-written
	select {
	case <-c.done: // who writes knows better why
		err = c.err
	default:
	}
	var coded *codec.Error
	if errors.As(err, &coded) {
		c.drain(c.desk.window.Bytes)
	}
	return err
}

// drain reads a little of what still comes: a close with bytes unread would take back
// what was written last.
func (c *conn) drain(most int) {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.raw.SetReadDeadline(time.Now().Add(closeWithin))
		_, _ = io.CopyN(io.Discard, c.raw, int64(most))
	}
}

// read takes calls until the connection ends, or something comes that is none.
func (d *desk) read(ctx context.Context) error {
	in := inlet{conn: d.conn, now: d.link.now, answered: -hereEvery, says: d.sayHere}
	from := bufio.NewReaderSize(&in, inletBytes)
	for {
		p, err := nextLetter(from, codec.CallBytesMax)
		if err != nil {
			return silence(err)
		}
		if p == nil {
			continue
		}
		s, no := d.admit(p)
		if no != nil {
			return no
		}
		number := s.call.Number
		forget := d.link.config.Serve(ctx, d.name, s.call, func(r *codec.Reply) { d.reply(number, s, r) })
		d.mu.Lock()
		if !s.replied {
			s.forget = forget
		}
		d.mu.Unlock()
	}
}

// admit takes a letter, or says why the service must go.
func (d *desk) admit(p []byte) (*served, *codec.Error) {
	kind, cluster, err := codec.KindOfLetter(p)
	switch {
	case err != nil:
		return nil, codec.Errorf(codec.Malformed, "%v", err)
	case kind != codec.LetterCall:
		return nil, codec.Errorf(codec.Denied, "a letter of kind %d: a service may send calls, which are of kind %d", kind, codec.LetterCall)
	case cluster != d.conn.peer.Cluster:
		return nil, codec.Errorf(codec.OtherCluster, "a call for cluster %s: this broker is of %s", cluster, d.conn.peer.Cluster)
	}
	call, err := codec.ParseCall(p)
	if err != nil {
		return nil, codec.Errorf(codec.Malformed, "%v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.open[call.Number] != nil:
		return nil, codec.Errorf(codec.Malformed, "call %d is under way already", call.Number)
	case !d.window.Admits(len(d.open), d.bytes, call.Cost()):
		return nil, codec.Errorf(codec.Overloaded, "%d calls that cost %d bytes are under way, and one of %d came: the window is %d calls and %d bytes", len(d.open), d.bytes, call.Cost(), d.window.Calls, d.window.Bytes)
	}
	s := &served{call: call, cost: call.Cost()}
	d.open[call.Number] = s
	d.bytes += s.cost
	d.calls++
	return s, nil
}

// reply takes the answer to a call, from any goroutine.
func (d *desk) reply(number uint64, s *served, r *codec.Reply) {
	r.Cluster, r.Number = d.conn.peer.Cluster, number
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.replied || d.ended {
		return
	}
	if len(r.Batches) > int(s.call.Bytes) {
		r.Fail(codec.Errorf(codec.RecordTooLarge, "%d bytes are there to be read at once, and %d were asked for", len(r.Batches), s.call.Bytes))
	}
	s.replied, s.forget, s.call.Batch = true, nil, nil
	d.ready = append(d.ready, r)
	d.stir()
}

func (d *desk) stir() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *desk) sayHere() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.here = true
	d.stir()
	return nil
}

// goodbye has the connection end behind what there is to say, as planned; with soft it
// is left to the service, which goes when it has its answers.
func (d *desk) goodbye(soft bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leave, d.bye = d.leave || soft, d.bye || !soft
	d.stir()
}

// finish is that nothing is read any more: nobody waits for what is under way.
func (d *desk) finish(err error) {
	d.mu.Lock()
	d.ended = true
	errors.As(err, &d.reason)
	var forget []func()
	for _, s := range d.open {
		if s.forget != nil {
			forget = append(forget, s.forget)
		}
	}
	d.stir()
	d.mu.Unlock()
	for _, f := range forget {
		f()
	}
}

// write sends what is ready until the connection ends.
func (d *desk) write() {
	for {
		s := d.take()
		if err := d.send(s); err != nil {
			d.conn.reset(err)
			return
		}
		if s.bye {
			d.conn.end(errClosed)
		}
		if s.bye || s.ended {
			return
		}
		if len(s.replies) > 0 {
			continue
		}
		select {
		case <-d.wake:
		case <-d.conn.done:
			return
		}
	}
}

// taken is what is to be written next.
type taken struct {
	replies []*codec.Reply
	here    bool
	leave   bool
	bye     bool         // it is the last
	ended   bool         // there is nothing more, but for reason
	reason  *codec.Error // nil without
}

// take gives back what the next replies to be written have cost: about one packet of
// them, so that what is written and does not count any more is little.
func (d *desk) take() (t taken) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return taken{ended: true, reason: d.reason}
	}
	bytes := 0
	for len(d.ready) > 0 && bytes < packetMost {
		r := d.ready[0]
		d.ready[0], d.ready = nil, d.ready[1:]
		cost := d.open[r.Number].cost
		delete(d.open, r.Number)
		d.bytes -= cost
		bytes += cost
		t.replies = append(t.replies, r)
	}
	t.here, d.here = d.here, false
	t.leave, d.leave = d.leave, false
	t.bye = d.bye && len(d.ready) == 0
	return t
}

func (d *desk) send(t taken) error {
	within := deadAfter
	if t.bye || t.ended {
		within = closeWithin
	}
	_ = d.conn.net.SetWriteDeadline(time.Now().Add(within))
	if t.here {
		d.packet.head(codec.LaneHere)
	}
	if t.reason != nil {
		why := &codec.Reply{Cluster: d.conn.peer.Cluster}
		why.Fail(t.reason)
		t.replies = append(t.replies, why)
	}
	for _, r := range t.replies {
		l := letter{parts: r.Encode()}
		for _, p := range l.parts {
			l.size += len(p)
		}
		if !d.packet.add(&l) {
			if err := d.packet.writeTo(d.conn); err != nil {
				return d.unread(err)
			}
			d.packet.add(&l)
		}
	}
	if t.bye || t.leave {
		d.packet.head(codec.LaneGoodbye)
	}
	if err := d.packet.writeTo(d.conn); err != nil {
		return d.unread(err)
	}
	return nil
}

// unread is why a reply could not be written.
func (d *desk) unread(err error) error {
	if silence(err) == errSilent {
		return codec.Errorf(codec.TimedOut, "service %q has not read its answers for %s", d.name, deadAfter)
	}
	return err
}

// servicesMax bounds the services that are attached at a time, and with the window the
// memory that they can take.
const servicesMax = 64

// enterService takes a connection of a service.
func (l *Link) enterService(c *conn) *codec.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.leaving:
		return errClosed
	case l.config.Serve == nil:
		return codec.Errorf(codec.OpUnknown, "node %q serves no services", l.config.Self.Node)
	case len(l.services) >= servicesMax:
		return codec.Errorf(codec.Overloaded, "%d services are attached: at most %d may be", len(l.services), servicesMax)
	}
	c.peer.Cluster = l.cluster
	c.desk = newDesk(l, c)
	l.services[c] = struct{}{}
	l.conns[c] = struct{}{}
	return nil
}

// LeaveServices tells services to go to another broker when they have their answers,
// which they go on getting until Close; and takes no more.
func (l *Link) LeaveServices() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	for c := range l.services {
		c.desk.goodbye(true)
	}
}

func (l *Link) leaveService(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.services, c)
	delete(l.conns, c)
}

// ServiceStatus is one connection of a service.
type ServiceStatus struct {
	Name     string
	Address  string        // where it dialled from
	Heard    time.Duration // ago
	Calls    uint64        // that came
	UnderWay int           // of them
	Bytes    int           // that those cost of the window
}

func (d *desk) status() ServiceStatus {
	s := ServiceStatus{Name: d.name, Address: d.conn.raw.RemoteAddr().String(), Heard: d.link.now() - time.Duration(d.conn.heard.Load())}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Calls, s.UnderWay, s.Bytes = d.calls, len(d.open), d.bytes
	return s
}
