package main

import (
	"maps"
	"sync"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

const peersName = "peers.json"

// peers is where other brokers are reached, as far as is known here. What is told
// first, by the record of a founding, by who let this broker in or by the file of
// before, is all there is until its own metadata is up to date: what that shows
// while it catches up is of the past. Then the metadata says who belongs to the
// cluster, and where; a broker's own word about itself goes before it, for one that
// moved cannot register before others reach it.
type peers struct {
	self codec.NodeID
	file string
	log  func(event string, fields ...any)

	look    chan struct{} // something changed
	stop    chan struct{}
	running sync.WaitGroup

	settling sync.Mutex // link and file are told in the order in which it was found out

	mu    sync.Mutex
	early map[codec.NodeID]string // told first
	own   map[codec.NodeID]word   // their own words
	state *cluster.State
	ready func() bool
	known map[codec.NodeID]string // as told to the link
	set   func(map[codec.NodeID]string)
}

// word is what a broker has said of itself, and how often it had registered by then, as
// far as was known, and with which disk. When it has again, it has told the metadata
// since; with another disk it is another broker of that name.
type word struct {
	address string
	epoch   uint64
	disk    codec.UUID
	hearsay bool // another's word about it, of which metadata that are up to date know more
}

// holds says that the word goes before what the metadata say of the node.
func (w word) holds(n cluster.Node) bool {
	return n.Link == "" || !w.hearsay && n.Epoch <= w.epoch && n.Disk == w.disk
}

func newPeers(self codec.NodeID, file string, log func(event string, fields ...any)) *peers {
	return &peers{
		self: self, file: file, log: log, look: make(chan struct{}, 1), stop: make(chan struct{}),
		early: map[codec.NodeID]string{}, own: map[codec.NodeID]word{}, ready: func() bool { return false },
	}
}

// tell has set called with where the peers are, now and whenever that changes.
func (p *peers) tell(set func(map[codec.NodeID]string)) {
	p.set = set
	p.running.Go(p.run)
}

func (p *peers) run() {
	for {
		select {
		case <-p.look:
			p.settle()
		case <-p.stop:
			return
		}
	}
}

func (p *peers) close() {
	close(p.stop)
	p.running.Wait()
}

func (p *peers) again() {
	select {
	case p.look <- struct{}{}:
	default:
	}
}

// first notes what is told first.
func (p *peers) first(all map[codec.NodeID]string) {
	p.mu.Lock()
	maps.Copy(p.early, all)
	p.mu.Unlock()
	p.settle()
}

// said notes a broker's own word about where it is reached.
func (p *peers) said(node codec.NodeID, address string) { p.note(node, word{address: address}) }

// heardOf notes where another broker speaks with it.
func (p *peers) heardOf(node codec.NodeID, address string) {
	p.note(node, word{address: address, hearsay: true})
}

func (p *peers) note(node codec.NodeID, w word) {
	if node == p.self || node == "" || w.address == "" {
		return
	}
	p.mu.Lock()
	if p.state != nil {
		w.epoch, w.disk = p.state.Nodes[node].Epoch, p.state.Nodes[node].Disk
	}
	p.own[node] = w
	p.mu.Unlock()
	p.again()
}

// met notes where a process of this cluster says that it is, or why it is none of it: its
// disk is that of a node that was removed. Of a disk that is not its node's nothing is
// noted, once the metadata are up to date: those of the past know nothing of who came
// since.
func (p *peers) met(node codec.NodeID, disk codec.UUID, address string) error {
	p.mu.Lock()
	s, ready := p.state, p.ready
	_, known := p.known[node]
	p.mu.Unlock()
	if s != nil {
		if err := s.Disowned(disk); err != nil {
			return err
		}
		n := s.Nodes[node]
		known = known && (n.Disk == disk || n.Disk == codec.UUID{} || !ready())
	}
	if known {
		p.said(node, address)
	}
	return nil
}

// changed notes the metadata. It does not wait.
func (p *peers) changed(s *cluster.State) {
	p.mu.Lock()
	p.state = s
	p.mu.Unlock()
	p.again()
}

// readyWhen has ready say when the metadata is up to date.
func (p *peers) readyWhen(ready func() bool) {
	p.mu.Lock()
	p.ready = ready
	p.mu.Unlock()
	p.again()
}

// settle tells the link when something is another, and the file.
func (p *peers) settle() {
	p.settling.Lock()
	defer p.settling.Unlock()
	p.mu.Lock()
	ready := p.ready
	p.mu.Unlock()
	upToDate := ready()
	p.mu.Lock()
	next := merge(p.self, p.early, p.own, p.state, upToDate)
	same := p.known != nil && maps.Equal(next, p.known)
	p.known = next
	p.mu.Unlock()
	if same {
		return
	}
	p.set(maps.Clone(next))
	if err := writeKept(osFS, p.file, next); err != nil {
		p.log("where the other brokers are could not be kept", "error", err)
	}
}

// all are the peers and their addresses.
func (p *peers) all() map[codec.NodeID]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.known)
}

// merge is where the others are, by all that is known.
func merge(self codec.NodeID, early map[codec.NodeID]string, own map[codec.NodeID]word, s *cluster.State, upToDate bool) map[codec.NodeID]string {
	next := maps.Clone(early)
	if s != nil {
		for name, n := range s.Nodes {
			if n.Link != "" && (upToDate || next[name] == "") {
				next[name] = n.Link
			}
		}
	}
	for name, w := range own {
		if s == nil || !upToDate || w.holds(s.Nodes[name]) {
			next[name] = w.address
		}
	}
	if s != nil && upToDate && s.Cluster != (codec.UUID{}) {
		maps.DeleteFunc(next, func(name codec.NodeID, _ string) bool { _, known := s.Nodes[name]; return !known })
	}
	delete(next, self)
	return next
}
