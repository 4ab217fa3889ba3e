package world

import (
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// cable is a connection between a program and a node, in memory and on the clock
// of a bubble: bytes arrive in order, a little later, as those of TCP do, and
// not while their way is cut. An end whose process died is closed by the
// kernel, which says so to the other; one whose machine has no power says
// nothing.
type cable struct {
	mu     sync.Mutex
	near   *end // the program's
	far    *end // the node's
	chance *rand.Rand
	gone   func() // called once both ends are closed
}

// cableWindow is how many bytes may be on their way, or unread, in one direction.
const cableWindow = 256 << 10

// end is one end of a cable; it is a net.Conn.
type end struct {
	cable    *cable
	other    *end
	at       address
	changed  sync.Cond
	coming   []parcel  // on their way to this end, in order
	last     time.Time // when the last of them arrives
	here     []byte    // arrived and not read
	unread   int       // bytes of both
	over     error     // what comes behind the bytes that are here; nil while more may
	closed   bool
	finished bool // it sends no more
	held     bool // the way to this end is cut
	still    bool // the process at this end stands still
	dark     bool // the machine at this end has no power
	vain     bool // something was sent to this end that the machine could not answer yet
	reads    deadline
	writes   deadline
}

// parcel is what arrives at once: bytes, or why there are no more.
type parcel struct {
	at    time.Time
	bytes []byte
	over  error
}

func newCable(near, far string, chance *rand.Rand, gone func()) *cable {
	c := &cable{chance: chance, gone: gone}
	c.near, c.far = &end{cable: c, at: address(near)}, &end{cable: c, at: address(far)}
	c.near.other, c.far.other = c.far, c.near
	for _, e := range []*end{c.near, c.far} {
		e.changed.L = &c.mu
	}
	return c
}

// delay is how long something is on its way.
func (c *cable) delay() time.Duration { return delayOf(c.chance) }

func delayOf(chance *rand.Rand) time.Duration {
	return wayLeast + time.Duration(chance.Int64N(int64(wayMost-wayLeast)))
}

// send puts something on its way to e. The caller holds the lock.
func (e *end) send(s parcel) {
	s.at = time.Now().Add(e.cable.delay())
	if s.at.Before(e.last) {
		s.at = e.last
	}
	e.last = s.at
	e.coming = append(e.coming, s)
	e.unread += len(s.bytes)
	time.AfterFunc(time.Until(s.at), e.arrive)
}

// arrive takes in what is due.
func (e *end) arrive() {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	for len(e.coming) > 0 && !e.held && !e.coming[0].at.After(time.Now()) {
		s := e.coming[0]
		e.coming = e.coming[1:]
		e.here = append(e.here, s.bytes...)
		if s.over != nil && (e.over == nil || e.over == io.EOF) { // a reset may come behind the end
			e.over = s.over
		}
	}
	e.changed.Broadcast()
}

// hold cuts the way to e, or heals it: then what was held arrives.
func (e *end) hold(held bool) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.held = held
	if held {
		return
	}
	at := time.Now().Add(e.cable.delay())
	for i := range e.coming {
		if e.coming[i].at.Before(at) {
			e.coming[i].at = at
		}
		time.AfterFunc(time.Until(e.coming[i].at), e.arrive)
		e.last = e.coming[i].at
	}
	e.answerVain()
}

// stand makes the process at e stand still, or go on.
func (e *end) stand(still bool) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.still = still
	e.changed.Broadcast()
}

// die closes e because its process ended, or its machine has no power any more:
// then nobody hears of it.
func (e *end) die(dark bool) {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.dark = dark
	if !e.closed && !dark {
		e.other.send(parcel{over: syscall.ECONNRESET})
	}
	e.shut()
}

// wake says that the machine at e has power again: it knows nothing of the
// connection, and says so when it is sent something.
func (e *end) wake() {
	e.cable.mu.Lock()
	defer e.cable.mu.Unlock()
	e.dark = false
	e.answerVain()
}

// answerVain answers what was sent to a closed end while nobody could.
func (e *end) answerVain() {
	if e.vain && e.closed && !e.held && !e.dark {
		e.vain = false
		e.other.send(parcel{over: syscall.ECONNRESET})
	}
}

// shut closes e for its own side.
func (e *end) shut() {
	if e.closed {
		return
	}
	e.closed, e.still = true, false
	e.vain = e.vain || len(e.here) > 0 || len(e.coming) > 0
	e.reads.stop()
	e.writes.stop()
	e.here, e.coming, e.unread = nil, nil, 0
	e.changed.Broadcast()
	e.other.changed.Broadcast()
	if e.other.closed {
		e.cable.gone()
	}
}
