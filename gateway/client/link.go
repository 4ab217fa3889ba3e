package client

import (
	"bufio"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// link is one connection: a reader, a writer and a goroutine that feels its
// pulse, and the requests that wait for their answers.
type link struct {
	address string
	net     net.Conn
	frames  *codec.FrameReader
	frame   int           // largest frame, bytes, both ways
	slots   chan struct{} // one for each request in flight, short of the ping
	heard   atomic.Uint64 // reads that brought something
	work    chan struct{} // wakes the writer
	dead    chan struct{} // closed when the connection is lost
	running sync.WaitGroup

	mu      sync.Mutex
	next    uint32
	waiting map[uint32]*pending
	queue   []*pending
	err     error // why it is lost
}

// pending is a request without an answer.
type pending struct {
	id    uint32
	op    codec.Op
	frame codec.Frame
	sent  bool // at least a part of it may have left
	pulse bool // a ping of the link's own, which holds no slot
	done  func(codec.Envelope, error)
}

// openLink connects and shakes hands. The welcome is the server's.
func openLink(ctx context.Context, address string, o Options) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	nc, err := o.Dial(ctx, address)
	if err != nil {
		return nil, codec.Errorf(codec.Unavailable, "connect to %s: %v", address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	l := &link{
		address: address, net: nc,
		work: make(chan struct{}, 1), dead: make(chan struct{}), waiting: map[uint32]*pending{}, next: 1,
	}
	l.frames = codec.NewFrameReader(bufio.NewReaderSize(ear{nc, &l.heard}, 64<<10), codec.HelloFrameMax)
	if err := l.shakeHands(o); err != nil {
		_ = nc.Close()
		stop()
		return nil, err
	}
	if !stop() {
		_ = nc.Close()
		return nil, codec.Errorf(codec.Unavailable, "connect to %s: %v", address, ctx.Err())
	}
	l.running.Go(l.read)
	l.running.Go(l.write)
	l.running.Go(func() { l.feelPulse(o.KeepAlive) })
	return l, nil
}

func (l *link) shakeHands(o Options) error {
	h := &codec.Hello{ProtocolMin: codec.ProtocolVersion, ProtocolMax: codec.ProtocolVersion, Client: o.Name, Version: o.Version, FrameMax: codec.FrameMax}
	hello := append([]byte(codec.Magic), codec.EncodeRequest(nil, l.next, h).Bytes()...)
	if _, err := l.net.Write(hello); err != nil {
		return codec.Errorf(codec.Unavailable, "greet %s: %v", l.address, err)
	}
	frame, err := l.frames.Read(nil)
	if err != nil {
		return codec.Errorf(codec.Unavailable, "greet %s: %v: is it a broker?", l.address, err)
	}
	e, err := codec.ParseEnvelope(frame)
	if err != nil {
		return err
	}
	if err := e.Err(); err != nil {
		return err
	}
	var w codec.Welcome
	if err := e.Decode(&w); err != nil {
		return err
	}
	if e.Kind != codec.KindResponse || e.ID != l.next || w.Protocol != codec.ProtocolVersion {
		return codec.Errorf(codec.VersionUnknown, "%s answered HELLO with protocol %d: want %d", l.address, w.Protocol, codec.ProtocolVersion)
	}
	l.frame = min(max(w.FrameMax, codec.HelloFrameMax), codec.FrameMax)
	l.frames.SetLimit(l.frame)
	l.slots = make(chan struct{}, min(max(w.InFlightMax-1, 1), inFlightMax))
	return nil
}

// inFlightMax bounds what a server may allow.
const inFlightMax = 4096

// fail ends the link; all who wait are told, in the order of their requests.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	all := make([]*pending, 0, len(l.waiting))
	for _, p := range l.waiting {
		all = append(all, p)
	}
	clear(l.waiting)
	l.queue = nil
	close(l.dead)
	l.mu.Unlock()
	_ = l.net.Close()
	sortPending(all)
	for _, p := range all {
		p.done(codec.Envelope{}, l.lost(p))
	}
}

// close ends the link and waits for its goroutines.
func (l *link) close() {
	l.fail(errClosed)
	l.running.Wait()
}

func (l *link) lost(p *pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lostLocked(p)
}

// lostLocked is what p is told when the link is lost: UNKNOWN for what
// changes something and may have left.
func (l *link) lostLocked(p *pending) error {
	code := codec.Unavailable
	if p.sent && changes(p.op) {
		code = codec.Unknown
	}
	if l.err == errClosed && code != codec.Unknown {
		return errClosed
	}
	return codec.Errorf(code, "%v: connection to %s lost: %v", p.op, l.address, l.err)
}

// changes says whether an operation leaves something behind.
func changes(op codec.Op) bool {
	switch op {
	case codec.OpProduce, codec.OpCreateTopic, codec.OpAlterTopic, codec.OpDeleteTopic, codec.OpTrim:
		return true
	}
	return false
}

// sortPending puts requests in the order they were made. Ids wrap around, so
// it is the distance that counts.
func sortPending(all []*pending) {
	slices.SortFunc(all, func(a, b *pending) int { return int(int32(a.id - b.id)) })
}
