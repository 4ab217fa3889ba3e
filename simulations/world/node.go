package world

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// Node is one broker of a World: a disk that outlives it, and its lives.
type Node struct {
	Disk   *Disk
	Broker *actors.Broker // of the present life; nil while it is down
	Life   *Life

	// Shape changes what the broker of the next life is started with; nil for
	// nothing.
	Shape func(*actors.Config)

	w       *World
	name    codec.NodeID
	lives   int
	started bool
	failure error

	ended     func()      // its broker cannot go on, and has left
	told      func(error) // what its start came to, each time that is said; nil for nobody
	forgetful bool        // it is started as if its cluster had still to be founded
	held      bool        // it waits to be let in, and is not started before
}

// Delays of a simulated disk's jobs.
const (
	jobLeast = 50 * time.Microsecond
	jobMost  = 3 * time.Millisecond
)

var errHung = errors.New("the disk hangs")

// Node makes a node with an empty disk, not yet started.
func (w *World) Node(name codec.NodeID) (*Node, error) {
	d, err := w.Disk(string(name))
	if err != nil {
		return nil, err
	}
	return &Node{Disk: d, w: w, name: name}, nil
}

// Start begins a life of the node, a broker on what its disk holds.
func (n *Node) Start() {
	n.lives++
	n.Life = n.w.Life(fmt.Sprintf("%s.%d", n.name, n.lives))
	n.started, n.failure = false, nil
	fs := n.Disk.Mount()
	dir := filepath.Join(n.Disk.Root(), "data")
	n.failure = errHung
	unlessHung(func() {
		if n.failure = wal.MakeDir(fs, dir); n.failure == nil {
			_, n.failure = fs.Lock(filepath.Join(dir, "lock"))
		}
	})
	if n.failure != nil {
		return
	}
	cfg := actors.Config{Dir: dir, Node: n.name, Ports: actors.Ports{
		Clock: n.Life, Chance: n.Life.Reader(), FS: fs, Run: n.Life.Executor(jobLeast, jobMost),
		Props: n.Life.Props(), WALFileBytes: 2000,
	}}
	if n.Shape != nil {
		n.Shape(&cfg)
	}
	if shapeAll != nil {
		shapeAll(n, &cfg)
	}
	cfg.Failed = func(err error) {
		n.started, n.failure = false, err
		if n.ended != nil {
			n.ended()
		}
	}
	n.Broker = actors.Launch(cfg, func(err error) {
		n.started, n.failure = err == nil, err
		if n.told != nil {
			n.told(err)
		}
	})
}

// Started says whether all that the node keeps is open, and why it did not
// start when it did not.
func (n *Node) Started() (bool, error) { return n.started, n.failure }

// Name is what the node is called.
func (n *Node) Name() codec.NodeID { return n.name }

// Up says whether a life of the node is going on.
func (n *Node) Up() bool { return n.Broker != nil }

// Kill ends the node's life at once; its disk goes on.
func (n *Node) Kill() {
	if n.Life != nil {
		n.Life.Kill()
	}
	n.Broker, n.started = nil, false
}

// Close removes the node's disk.
func (n *Node) Close() error { return n.Disk.Close() }

var shapeAll func(*Node, *actors.Config)
