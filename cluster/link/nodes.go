package link

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// node is another node: a peer that is dialled, or one that dials.
//
// Its process lives from the first greeting on, in either direction. That it
// has ended is known, and Lost is called for it once, when
//
//   - a dial is refused (ECONNREFUSED) and no connection of it is open: who
//     listened there listens no more. It is dialled at once when a connection
//     ends, and then soon again, for in the moment of its end a process may
//     have lost its connections and not yet its listener;
//   - it says goodbye: a planned end is an end, and those that it led need
//     another leader as well. What it sent before is heard first, on whichever
//     connection: who heard a leader after its end would wait for it;
//   - another process of the same node is greeted, at its place.
//
// A dial that times out, a connection that breaks or is silent, say nothing:
// they may be the network. A refusal may come from a proxy or a firewall in
// between while the process lives; then Lost was called wrongly, which costs
// an election that PreVote does not let through, and a dial that succeeds
// later brings it back to life.
type node struct {
	name codec.NodeID
	in   [2]traffic

	// All below Link.mu.
	lanes  *[2]*lane // nil when it is no peer
	conns  map[*conn]struct{}
	known  bool // peer is set
	peer   Peer // of its process
	lost   bool // that one has ended
	former []uint64
	// parting is the life that said goodbye and is lost when its letters are in.
	parting uint64
}

// traffic are letters that came.
type traffic struct{ letters, bytes atomic.Uint64 }

// formerMax is how many ended processes of a node are remembered.
const formerMax = 8

// node is the one of that name. The caller holds the lock.
func (l *Link) node(name codec.NodeID) *node {
	n := l.nodes[name]
	if n == nil {
		n = &node{name: name, conns: map[*conn]struct{}{}}
		l.nodes[name] = n
	}
	return n
}

// forget lets go of a node with which there is nothing any more. The caller
// holds the lock.
func (l *Link) forget(n *node) {
	if n.lanes == nil && len(n.conns) == 0 {
		delete(l.nodes, n.name)
	}
}

// kick has its lanes dial at once, if they rest, or anew, if nobody answers.
func (n *node) kick() {
	if n.lanes == nil {
		return
	}
	for _, a := range n.lanes {
		select {
		case a.kick <- struct{}{}:
		default:
		}
	}
}

// enter takes a connection on which greetings were exchanged, or says why not.
func (l *Link) enter(c *conn) *codec.Error {
	l.mu.Lock()
	if err := l.mayEnter(c); err != nil {
		l.mu.Unlock()
		return err
	}
	n := l.node(c.peer.Node)
	if err := n.takes(c.peer, l.now()); err != nil {
		l.forget(n)
		l.mu.Unlock()
		return err
	}
	ended := n.greeted(c)
	n.conns[c] = struct{}{}
	l.conns[c] = struct{}{}
	if !c.out { // it is there
		n.kick()
	}
	l.mu.Unlock()
	if ended {
		l.config.Log("another process of a node came in its place", "node", string(n.name))
		l.config.Lost(n.name)
	}
	return nil
}

// connsMax bounds the connections that others have open.
const connsMax = 1024

// mayEnter is what does not depend on the node. The caller holds the lock.
func (l *Link) mayEnter(c *conn) *codec.Error {
	switch {
	case l.closed:
		return errClosed
	case !c.out && len(l.conns) >= connsMax:
		return codec.Errorf(codec.Overloaded, "%d connections are open: at most %d are allowed", len(l.conns), connsMax)
	case c.out && l.nodes[c.peer.Node] == nil:
		return codec.Errorf(codec.Unavailable, "%v", errParted)
	}
	return nil
}

// takes says whether a process may speak for the node. One that lives, at
// another place or with another disk, is not put aside: of two that are the
// same node the first stays. Where it has ended its connections are closed or,
// at the worst, silent.
func (n *node) takes(p Peer, now time.Duration) *codec.Error {
	if slices.Contains(n.former, p.Life) {
		return codec.Errorf(codec.Clone, "this process of node %q has ended, for all that is known here: start it again", p.Node)
	}
	if !n.known || n.peer.Life == p.Life || n.peer.Disk == p.Disk && n.peer.Address == p.Address || !n.lives(now) {
		return nil
	}
	return codec.Errorf(codec.Clone, "node %q is another process, at %s with disk %s: stop one of the two, and give it a name and a data directory of its own", p.Node, n.peer.Address, n.peer.Disk)
}

// lives says whether something was heard of its process lately.
func (n *node) lives(now time.Duration) bool {
	for c := range n.conns {
		if c.peer.Life == n.peer.Life && now-time.Duration(c.heard.Load()) < silentAfter {
			return true
		}
	}
	return false
}

// greeted notes whose connection c is, and ends those that it replaces. ended
// says that a process was thought to live and has ended.
func (n *node) greeted(c *conn) (ended bool) {
	if n.known && n.peer.Life != c.peer.Life {
		ended = !n.lost
		n.remember(n.peer.Life)
	}
	if c.out || !n.known || n.peer.Life != c.peer.Life {
		n.lost = false // who dials may have ended since, who answers has not
	}
	n.known, n.peer = true, c.peer
	for old := range n.conns {
		if old.peer.Life != c.peer.Life || !c.out && !old.out && old.lane == c.lane {
			old.end(errReplaced)
		}
	}
	return ended
}

var errReplaced = codec.Errorf(codec.Stopping, "another connection came in its place")

func (n *node) remember(life uint64) {
	if slices.Contains(n.former, life) {
		return
	}
	if len(n.former) == formerMax {
		n.former = n.former[1:]
	}
	n.former = append(n.former, life)
}

// leave is the end of a connection that entered.
func (l *Link) leave(c *conn) {
	if l.left(c) {
		l.config.Log("a peer's process has ended", "node", string(c.peer.Node), "because", "it said goodbye")
		l.config.Lost(c.peer.Node)
	}
}

// left takes c off the books, and says whether its process is lost with it.
func (l *Link) left(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	n := l.nodes[c.peer.Node]
	if n == nil {
		return false
	}
	delete(n.conns, c)
	if !c.out { // a lane sees itself that its own has ended
		n.kick()
	}
	l.forget(n)
	return n.parted(c.peer.Life) && !l.closed
}

// refused is that nobody listens at a peer's address.
func (l *Link) refused(n *node) {
	l.mu.Lock()
	ended := n.known && !n.lost && len(n.conns) == 0 && n.lanes != nil && !l.closed
	if ended {
		n.lost = true
	}
	l.mu.Unlock()
	if ended {
		l.config.Log("a peer's process has ended", "node", string(n.name), "because", "its connections were closed, and nobody listens at its address")
		l.config.Lost(n.name)
	}
}

// goodbye is that the other side of c is about to end. It is lost when the last
// of its connections has ended that brings letters.
func (l *Link) goodbye(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.nodes[c.peer.Node]; n != nil && n.known && n.peer.Life == c.peer.Life && n.parting != c.peer.Life {
		n.parting = c.peer.Life
		n.remember(c.peer.Life)
	}
}

// parted says whether a life has said goodbye, was not lost yet, and all that it
// sent has been heard. The caller holds the lock.
func (n *node) parted(life uint64) bool {
	if n.parting != life || n.peer.Life != life || n.lost {
		return false
	}
	for c := range n.conns {
		if !c.out && c.peer.Life == life {
			return false
		}
	}
	n.lost = true
	return true
}
