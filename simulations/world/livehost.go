package world

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/gateway"
)

// host is the machine of one node, as programs that talk to the node see it: its
// address, the connections to it, and the gateway of the process that runs
// there. All but what mu guards belongs to whoever is inside the World.
type host struct {
	driver  *driver
	node    *Node
	address string
	closing *sync.WaitGroup // gateways that end

	life   *Life           // of the process; nil while none runs
	door   *gateway.Server // nil until the broker has started
	frozen chan struct{}   // closed when the process goes on; nil while it does
	dark   bool            // no power
	cut    bool            // nothing arrives from programs, or at them
	dials  int
	chance *rand.Rand // of the time that dialing takes

	mu      sync.Mutex
	backlog *backlog
	cables  map[*cable]struct{}
}

func newHost(d *driver, n *Node, address string, closing *sync.WaitGroup) *host {
	h := &host{driver: d, node: n, address: address, closing: closing, chance: d.w.Rand(address), cables: map[*cable]struct{}{}}
	shape := n.Shape
	n.Shape = func(c *actors.Config) {
		c.Address = address
		shape(c)
	}
	return h
}

// look follows what became of the node's process in the last round.
func (h *host) look() {
	n := h.node
	if h.life != nil && h.life.dead {
		h.fall()
	}
	if h.life == nil && n.Up() {
		h.life, h.dark = n.Life, false
		h.each(func(c *cable) { c.far.wake() })
	}
	if h.life == nil {
		return
	}
	if paused := h.life.paused; paused != (h.frozen != nil) {
		h.freeze(paused)
	}
	if h.door == nil && n.started {
		h.open()
	}
}

// open lets clients in.
func (h *host) open() {
	h.door = gateway.New(liveDoor{h.node.Broker, h, h.life}, gateway.Options{})
	h.mu.Lock()
	h.backlog = newBacklog(h.address, h.frozen != nil)
	door, l := h.door, h.backlog
	h.mu.Unlock()
	h.closing.Go(func() { _ = door.Serve(l) }) // it ends with an error only if the process has ended before
}

// fall ends the gateway with the process, without a word to anybody but what
// the kernel says.
func (h *host) fall() {
	if h.frozen != nil {
		h.freeze(false)
	}
	door := h.door
	h.life, h.door = nil, nil
	h.each(func(c *cable) { c.far.die(h.dark) })
	if door == nil {
		return
	}
	h.closing.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = door.Close(ctx) // it says that it did not wait
	})
}

// freeze makes the process's ends of connections stand still, or go on.
func (h *host) freeze(still bool) {
	if still {
		h.frozen = make(chan struct{})
	} else {
		close(h.frozen)
		h.frozen = nil
	}
	h.each(func(c *cable) { c.far.stand(still) })
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.backlog != nil {
		h.backlog.stand(still)
	}
}

// sever cuts the ways between programs and the node, or heals them.
func (h *host) sever(cut bool) {
	if h.cut == cut {
		return
	}
	h.cut = cut
	h.each(func(c *cable) {
		c.far.hold(cut)
		c.near.hold(cut)
	})
}

// each calls do for every connection.
func (h *host) each(do func(*cable)) {
	h.mu.Lock()
	list := make([]*cable, 0, len(h.cables))
	for c := range h.cables {
		list = append(list, c)
	}
	h.mu.Unlock()
	for _, c := range list {
		do(c)
	}
}

// knock is one try to connect: the program's end of a new connection, false when
// nobody says a word, or neither when the machine refuses.
func (h *host) knock() (e *end, answers bool) {
	if h.dark || h.cut {
		return nil, false
	}
	if h.door == nil {
		return nil, true
	}
	h.dials++
	name := fmt.Sprintf("%s/dial/%d", h.address, h.dials)
	near := fmt.Sprintf("program:%d", 40_000+h.dials)
	var c *cable
	c = newCable(near, h.address, h.driver.w.Rand(name), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.cables, c)
	})
	c.far.still = h.frozen != nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cables[c] = struct{}{}
	h.backlog.push(c.far)
	return c.near, true
}
