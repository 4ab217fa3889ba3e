package link

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// lane is one of the two ways to a peer, and whoever drives it: it dials,
// writes what waits, and dials again.
type lane struct {
	link   *Link
	node   *node
	kind   codec.Lane
	queue  queue
	kick   chan struct{} // has one when it is to dial now, or anew
	ctx    context.Context
	cancel context.CancelFunc

	letters, bytes, opened atomic.Uint64

	mu      sync.Mutex
	address string
	conn    *conn // nil while there is none
	state   State
	since   time.Time
	trouble string // the last, in a sentence
}

func newLane(l *Link, n *node, kind codec.Lane, address string) *lane {
	a := &lane{link: l, node: n, kind: kind, address: address, kick: make(chan struct{}, 1), state: Dialling, since: time.Now()}
	a.queue = queue{wake: make(chan struct{}, 1), most: l.config.laneBytes(kind), largest: l.config.LetterBytes, open: true}
	a.ctx, a.cancel = context.WithCancel(l.ctx)
	return a
}

// run is the life of a lane.
func (a *lane) run() {
	defer a.cancel()
	var p pause
	for a.ctx.Err() == nil {
		c, err := a.open()
		if err == nil {
			entered := time.Now()
			err = a.drive(c)
			if time.Since(entered) >= hereEvery {
				p.reset()
			}
			a.ended(c, err)
		} else if a.ctx.Err() == nil {
			a.failed(err)
		}
		a.rest(p.next(pauseAfter(err)))
	}
	a.queue.set(false)
}

// pauseAfter is the longest pause behind an error.
func pauseAfter(err error) time.Duration {
	var coded *codec.Error
	if errors.As(err, &coded) && !coded.Code.Retriable() {
		return pauseRefused
	}
	return pauseMost
}

// rest waits before the next dial. A kick ends it, but for the first moments:
// two that kick each other do not spin.
func (a *lane) rest(d time.Duration) {
	least := time.NewTimer(min(d, pauseLeast))
	defer least.Stop()
	select {
	case <-least.C:
	case <-a.ctx.Done():
		return
	}
	rest := time.NewTimer(d - min(d, pauseLeast))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-a.kick:
	case <-a.ctx.Done():
	}
}

// open dials, and is done when the peer has answered the greeting and the link
// has taken the connection.
func (a *lane) open() (*conn, error) {
	a.mu.Lock()
	address := a.address
	a.note(Dialling, "")
	a.mu.Unlock()
	self := a.link.self()
	if self.Cluster == (codec.UUID{}) {
		return nil, errNoCluster
	}
	d := dialler{dial: a.dial, tls: a.link.config.TLS}
	c, err := d.greet(a.ctx, address, self.greeting(a.link.life, purposeOf(a.kind), a.node.name))
	if err != nil {
		return nil, err
	}
	c.lane = a.kind
	c.heard.Store(int64(a.link.now()))
	if err := a.link.enter(c); err != nil {
		c.end(err)
		return nil, err
	}
	a.up(c, address)
	return c, nil
}

var errNoCluster = codec.Errorf(codec.NoCluster, "this broker belongs to no cluster yet")

// up notes that the lane is open at an address. When that was changed
// meanwhile, it ends at once.
func (a *lane) up(c *conn, address string) {
	a.mu.Lock()
	a.conn = c
	if a.address != address {
		c.end(errMoved)
	}
	a.note(Up, "")
	a.mu.Unlock()
	a.opened.Add(1)
	a.queue.set(true)
	a.link.notes.reached(a.node.name)
}

// failed notes a dial that came to nothing. Nobody answers: what waits is lost.
func (a *lane) failed(err error) {
	a.queue.set(false)
	state := Waiting
	var coded *codec.Error
	if errors.As(err, &coded) && !coded.Code.Retriable() {
		state = Refused
	}
	a.mu.Lock()
	a.note(state, err.Error())
	address := a.address
	a.mu.Unlock()
	if err != error(errNoCluster) {
		a.link.notes.dial(a.node.name, address, err)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		a.link.refused(a.node)
	}
}

// ended notes that an open lane is not any more.
func (a *lane) ended(c *conn, err error) {
	a.link.leave(c)
	a.mu.Lock()
	a.conn = nil
	a.note(Waiting, explain(err).Error())
	a.mu.Unlock()
	if errors.Is(err, errGoodbye) {
		a.queue.set(false)
	}
}

// note sets the state; trouble stays until the next. The time is that of the
// last change between up and not. The caller holds the lock.
func (a *lane) note(s State, trouble string) {
	if (s == Up) != (a.state == Up) {
		a.since = time.Now()
	}
	a.state = s
	if trouble != "" {
		a.trouble = trouble
	}
}

// move has the lane go to another address, if it is another.
func (a *lane) move(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.address == address {
		return
	}
	a.address = address
	if a.conn != nil {
		a.conn.end(errMoved)
	}
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

var errMoved = errors.New("its address is another")

// drive writes what waits until the connection ends, and returns why it did.
func (a *lane) drive(c *conn) error {
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		err := c.listen(a.link.now)
		if err == errGoodbye {
			a.link.goodbye(c)
		}
		if err == errSilent {
			c.reset(err)
		}
		c.end(err)
	}()
	w := writer{lane: a, conn: c}
	w.run()
	<-listening
	return c.err
}

// writer puts letters into packets, and those on the connection.
type writer struct {
	lane    *lane
	conn    *conn
	packet  packet
	sending net.Buffers // what is left of packet.bufs
	list    []letter    // taken
	here    bool        // it is time to say so
}

func (w *writer) run() {
	every := time.NewTicker(hereEvery)
	defer every.Stop()
	w.here = true
	for {
		w.list = w.lane.queue.take(w.list)
		if err := w.write(); err != nil {
			w.conn.end(err)
			return
		}
		select {
		case <-w.lane.queue.wake:
		case <-every.C:
			w.here = true
			continue
		case <-w.conn.done:
			return
		case <-w.lane.ctx.Done():
			w.farewell()
			return
		}
		select { // while there is always something to write
		case <-every.C:
			w.here = true
		default:
		}
	}
}

// write sends what was taken, and says that this side is here when that is due.
func (w *writer) write() error {
	list := w.list
	for len(list) > 0 || w.here {
		if w.here {
			w.packet.head(codec.LaneHere)
			w.here = false
		}
		n, bytes := 0, 0
		for n < len(list) && w.packet.add(&list[n]) {
			bytes += list[n].size
			n++
		}
		if err := w.flush(); err != nil {
			w.lane.queue.loseTaken(list)
			clear(w.list)
			return err
		}
		w.lane.queue.left(bytes)
		w.lane.letters.Add(uint64(n))
		w.lane.bytes.Add(uint64(bytes))
		clear(list[:n]) // and their memory may go
		list = list[n:]
	}
	return nil
}

// flush is one writev; of TLS one record or more for each large part.
func (w *writer) flush() error {
	w.packet.cut()
	w.sending = w.packet.bufs
	_, err := w.sending.WriteTo(w.conn.net)
	w.packet.clear()
	return err
}

// farewell ends a lane from this side: when the Link is closed, behind what
// waits and with a goodbye; without, when the peer is none any more.
func (w *writer) farewell() {
	if w.lane.link.ctx.Err() == nil {
		w.conn.end(errParted)
		return
	}
	w.list = w.lane.queue.take(w.list)
	if w.write() == nil {
		w.packet.head(codec.LaneGoodbye)
		_ = w.flush() // who does not hear it finds out
	}
	w.conn.end(errClosed)
}
