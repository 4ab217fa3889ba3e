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
		d.serve(ctx, s)
		if err := in.here(); err != nil { // it may have taken a while
			return err
		}
	}
}

// creditWithin is how long a batch waits for room in the broker. It is well below the
// silence after which a service gives a broker up.
const creditWithin = deadAfter / 3

func (d *desk) serve(ctx context.Context, s *served) {
	number := s.call.Number
	if s.call.Kind == codec.CallProduce {
		if ctx.Err() != nil { // one before it may have been let go for that, and none overtakes it
			r := &codec.Reply{}
			r.Fail(errClosed)
			d.reply(number, s, r)
			return
		}
		within, cancel := context.WithTimeout(ctx, creditWithin)
		defer cancel()
		ctx = within
	}
	forget := d.link.config.Serve(ctx, d.name, s.call, func(r *codec.Reply) { d.reply(number, s, r) })
	d.mu.Lock()
	defer d.mu.Unlock()
	if !s.replied {
		s.forget = forget
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
