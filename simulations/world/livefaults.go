package world

import (
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Program stands for where the program under test runs, in Cut.
const Program codec.NodeID = "program"

// Kill ends a node's process at once, as kill -9 does: its connections are
// reset, and what it wrote is there when it starts again.
func (l *Live) Kill(node codec.NodeID) {
	h := l.host(node)
	l.inside(func() {
		l.cluster.w.Note("test", "kill "+string(node), 0)
		l.cluster.kill(h.node, Kept)
		l.look()
	})
}

// PowerCut cuts the power of nodes, of all when none is named: at once, nobody
// is told, and of what was not fsynced the disk keeps what it likes.
func (l *Live) PowerCut(nodes ...codec.NodeID) {
	if len(nodes) == 0 {
		nodes = l.Nodes()
	}
	var list []*host
	for _, n := range nodes {
		list = append(list, l.host(n))
	}
	l.inside(func() {
		for _, h := range list {
			l.cluster.w.Note("test", "power cut "+string(h.node.name), 0)
			h.dark = true
			if n := h.node; n.Up() {
				n.Kill()
				l.cluster.fail(n.Disk.Crash(Any, l.cluster.chance))
			}
		}
		l.look()
	})
}

// Start starts a node that is down, on what its disk holds. It does not wait:
// clients can connect when the broker has opened its logs. Of a node that is
// up nothing becomes.
func (l *Live) Start(node codec.NodeID) {
	h := l.host(node)
	l.inside(func() {
		l.cluster.w.Note("test", "start "+string(node), 0)
		l.cluster.revive(h.node)
		l.look()
	})
}

// Pause makes a node's process stand still, as SIGSTOP does: connections to it
// stay, and nobody answers.
func (l *Live) Pause(node codec.NodeID) {
	l.life(node, (*Life).Pause)
}

// Resume lets it go on.
func (l *Live) Resume(node codec.NodeID) {
	l.life(node, (*Life).Resume)
}

func (l *Live) life(node codec.NodeID, do func(*Life)) {
	h := l.host(node)
	l.inside(func() {
		if h.node.Up() {
			do(h.node.Life)
		}
		l.look()
	})
}

// Cut cuts the ways between two nodes, or between a node and the Program:
// nothing arrives and nobody is told. Connections of the program stay, and what
// was sent on them arrives after Heal.
func (l *Live) Cut(a, b codec.NodeID) {
	if a == Program {
		a, b = b, a
	}
	h := l.host(a)
	if b != Program {
		l.host(b)
	}
	l.inside(func() {
		l.cluster.w.Note("test", fmt.Sprintf("cut %s from %s", a, b), 0)
		if b == Program {
			h.sever(true)
			return
		}
		l.cluster.net.Way(a, b).Cut, l.cluster.net.Way(b, a).Cut = true, true
	})
}

// Isolate cuts a node from all others and from the Program.
func (l *Live) Isolate(node codec.NodeID) {
	for _, other := range append(l.Nodes(), Program) {
		if other != node {
			l.Cut(node, other)
		}
	}
}

// Heal ends all cuts.
func (l *Live) Heal() {
	l.inside(func() {
		l.cluster.w.Note("test", "heal", 0)
		l.cluster.net.Heal()
		for _, h := range l.hosts {
			h.sever(false)
		}
	})
}

// host is that of a node. A name that no node has is a mistake of the test's.
func (l *Live) host(node codec.NodeID) *host {
	for _, h := range l.hosts {
		if h.node.name == node {
			return h
		}
	}
	panic(fmt.Sprintf("world: there is no node %q: they are %v", node, l.Nodes()))
}
