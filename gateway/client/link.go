package client

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// link is one connection: a reader, a writer and a goroutine that feels its
// pulse, and the requests that wait for their answers.
type link struct {
	address  string
	net      net.Conn
	frames   *codec.FrameReader
	frame    int           // largest frame, bytes, both ways
	features []string      // those that both sides have
	node     codec.NodeID  // who is there
	heard    atomic.Uint64 // reads that brought something
	doubted  atomic.Bool   // others are being asked about it
	work     chan struct{} // wakes the writer
	dead     chan struct{} // closed when the connection is lost
	running  sync.WaitGroup

	mu      sync.Mutex
	next    uint32
	slots   int    // free ones, for requests in flight, short of the ping
	room    []hope // those who wait for a slot, in order
	waiting map[uint32]*pending
	queue   []*pending
	subs    map[uint32]*subscription
	err     error // why it is lost
}

// openLink connects and shakes hands.
func openLink(ctx context.Context, address string, o Options) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	nc, err := dialSecure(ctx, address, o)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	l := &link{
		address: address, net: nc,
		work: make(chan struct{}, 1), dead: make(chan struct{}), waiting: map[uint32]*pending{}, subs: map[uint32]*subscription{}, next: 1,
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
	h := &codec.Hello{
		ProtocolMin: codec.ProtocolVersion, ProtocolMax: codec.ProtocolVersion, Client: o.Name, Version: o.Version,
		FrameMax: codec.FrameMax, Features: []string{codec.FeatureSubscribe, codec.FeatureRedirect}, Token: o.Token,
	}
	hello := append([]byte(codec.Magic), codec.EncodeRequest(nil, l.next, h).Bytes()...)
	if _, err := l.net.Write(hello); err != nil {
		return codec.Errorf(codec.Unavailable, "greet %s: %v", l.address, err)
	}
	frame, err := l.frames.Read(nil)
	if err != nil {
		return notGreeted(l.address, err)
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
	l.slots = min(max(w.InFlightMax-1, 1), inFlightMax)
	l.features, l.node = w.Features, w.Node
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
	unsent, hopes, subs := l.queue, l.room, l.subs
	l.queue, l.room, l.subs = nil, nil, nil
	close(l.dead)
	l.mu.Unlock()
	_ = l.net.Close()
	sortPending(all)
	for _, p := range all {
		p.who.answered(&answer{}, l.lost(p))
		p.drop()
	}
	for _, p := range unsent {
		p.drop()
	}
	for _, h := range hopes {
		h.lost()
	}
	for _, s := range subs {
		s.end(codec.Errorf(codec.Unavailable, "connection to %s lost: %v", l.address, err))
	}
}

// close ends the link and waits for its goroutines.
func (l *link) close() {
	l.fail(errClosed)
	l.running.Wait()
}

// isDead says whether the link is lost.
func (l *link) isDead() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

func (l *link) lost(p *pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lostLocked(p.op, p.sent)
}

// lostLocked is what a request is told when the link is lost: UNKNOWN for
// what changes something and may have left.
func (l *link) lostLocked(op codec.Op, sent bool) error {
	code := codec.Unavailable
	if sent && changes(op) {
		code = codec.Unknown
	}
	if l.err == errClosed && code != codec.Unknown {
		return errClosed
	}
	return codec.Errorf(code, "%v: connection to %s lost: %v", op, l.address, l.err)
}
