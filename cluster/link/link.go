package link

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Link is a broker's connections to others.
type Link struct {
	config Config
	life   uint64 // of this process
	began  time.Time

	// routes are the lanes of peers, for Send.
	routes  atomic.Pointer[map[codec.NodeID]*[2]*lane]
	nowhere atomic.Uint64 // letters for nodes that are no peers

	ctx      context.Context // ends when Close begins
	stop     context.CancelFunc
	running  sync.WaitGroup
	entrance *entrance
	notes    *notes

	mu        sync.Mutex
	closed    bool
	leaving   bool // no service is taken any more
	cluster   codec.UUID
	nodes     map[codec.NodeID]*node
	conns     map[*conn]struct{} // that were greeted on
	questions int                // of conns, those on which questions come
	services  map[*conn]struct{} // of conns, those of services
}

// New makes a Link and begins to take connections. It dials nobody before
// SetPeers.
func New(c Config) *Link {
	l := &Link{config: c.withDefaults(), life: newLife(), began: time.Now(), cluster: c.Self.Cluster, nodes: map[codec.NodeID]*node{}, conns: map[*conn]struct{}{}, services: map[*conn]struct{}{}}
	l.routes.Store(&map[codec.NodeID]*[2]*lane{})
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.entrance = newEntrance()
	l.notes = &notes{log: l.config.Log}
	if l.config.Listener != nil {
		l.running.Go(l.accept)
	}
	return l
}

// newLife is a number that no other process draws, of 63 bits and not 0.
func newLife() uint64 { return 1 + rand.Uint64N(1<<63-1) }

// Send implements actors.Link: it takes the parts of one letter for another
// node, and never waits. The parts stay the link's.
func (l *Link) Send(to codec.NodeID, parts [][]byte) {
	lanes := (*l.routes.Load())[to]
	if lanes == nil {
		l.nowhere.Add(1)
		return
	}
	lanes[codec.LaneOf(parts)].queue.put(parts)
}

// SetPeers says who the peers are now, and where: those that are new are
// dialled at once, on both lanes, so that the first batch need not wait and
// so that an end is noticed; those with another address are dialled there;
// connections with those that are gone are closed, which is no loss. This
// node itself is left out.
func (l *Link) SetPeers(peers map[codec.NodeID]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	for name, n := range l.nodes {
		if _, stays := peers[name]; !stays && n.lanes != nil {
			l.part(n)
		}
	}
	for name, address := range peers {
		if name != l.config.Self.Node {
			l.meet(name, address)
		}
	}
	routes := make(map[codec.NodeID]*[2]*lane, len(peers))
	for name, n := range l.nodes {
		if n.lanes != nil {
			routes[name] = n.lanes
		}
	}
	l.routes.Store(&routes)
}

// meet has a peer at an address. The caller holds the lock.
func (l *Link) meet(name codec.NodeID, address string) {
	n := l.node(name)
	if n.lanes != nil {
		for _, a := range n.lanes {
			a.move(address)
		}
		return
	}
	n.lanes = new([2]*lane)
	for _, kind := range []codec.Lane{codec.LaneControl, codec.LaneBulk} {
		a := newLane(l, n, kind, address)
		n.lanes[kind] = a
		l.running.Go(a.run)
	}
}

// part ends what there is with a peer. The caller holds the lock.
func (l *Link) part(n *node) {
	for _, a := range n.lanes {
		a.cancel()
	}
	n.lanes = nil
	for c := range n.conns {
		c.end(errParted)
	}
	l.forget(n)
}

// errParted ends the connections of a node that is no peer any more.
var errParted = errors.New("it is no peer any more")

// SetCluster says which cluster this broker belongs to, when it was founded or
// has joined: before, it sends and takes no letters. It is said once.
func (l *Link) SetCluster(id codec.UUID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cluster != (codec.UUID{}) && l.cluster != id {
		return fmt.Errorf("this link is of cluster %s, and cannot be of %s", l.cluster, id)
	}
	l.cluster = id
	for _, n := range l.nodes {
		n.kick()
	}
	return nil
}

// self is who this broker is now.
func (l *Link) self() Self {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.config.Self
	s.Cluster = l.cluster
	return s
}

// now is the time since the link began.
func (l *Link) now() time.Duration { return time.Since(l.began) }

// Close says goodbye to all peers, so that they need not find out, and ends
// every connection: what waits has a second to leave. Afterwards nothing of
// the Link runs any more, and Hear and Lost are not called.
func (l *Link) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.running.Wait()
		return
	}
	l.closed = true
	if l.config.Listener != nil {
		_ = l.config.Listener.Close() // nobody was promised anything on it
	}
	for c := range l.conns {
		_ = c.raw.SetWriteDeadline(time.Now().Add(closeWithin))
		switch {
		case c.asks:
			c.end(errClosed)
		case c.desk != nil:
			c.desk.goodbye(false)
		case !c.out: // a lane says it itself
			l.running.Go(func() {
				_ = c.say(codec.LaneGoodbye, closeWithin) // who does not hear it finds out
				c.end(errClosed)
			})
		}
	}
	l.mu.Unlock()
	l.stop()
	l.entrance.close()
	late := time.AfterFunc(closeWithin, l.cut)
	l.running.Wait()
	late.Stop()
}

func (l *Link) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// errClosed ends what is open when a Link is closed.
var errClosed = codec.Errorf(codec.Stopping, "this broker is shutting down")

// cut ends every connection at once.
func (l *Link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.end(errClosed)
	}
}
