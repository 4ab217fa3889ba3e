package link

import (
	"bufio"
	"context"
	"net"
	"time"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// Caller dials brokers as a service.
type Caller struct {
	Name    string
	Cluster codec.UUID // zero: any
	Life    uint64
	Dial    func(ctx context.Context, address string) (net.Conn, error) // nil: TCP
	TLS     *trust.Credentials                                          // nil: none
}

// Line is a service's connection to a broker: calls go out and replies come in, and
// nothing is counted here. One goroutine may send, and another receive.
type Line struct {
	conn   *conn
	from   *bufio.Reader
	packet packet
}

// Attach opens a line to the broker at address. A refusal is a *codec.Error.
func (s Caller) Attach(ctx context.Context, address string) (*Line, error) {
	d := dialler{dial: s.Dial, tls: s.TLS}
	if d.dial == nil {
		d.dial = dialTCP
	}
	c, err := d.greet(ctx, address, &codec.Greeting{
		VersionMin: codec.LinkVersion, VersionMax: codec.LinkVersion, Purpose: codec.PurposeService, Role: codec.RoleService,
		Cluster: s.Cluster, Node: codec.NodeID(s.Name), Life: s.Life,
	})
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	in := &inlet{conn: c, now: func() time.Duration { return time.Since(begun) }, says: func() error { return nil }}
	return &Line{conn: c, from: bufio.NewReaderSize(in, inletBytes)}, nil
}

// Peer is who answers.
func (l *Line) Peer() Peer { return l.conn.peer }

// Window is what may be under way.
func (l *Line) Window() codec.Window { return l.conn.window }

// HereEvery is how often a service says that it is there, by a Send of no calls.
const HereEvery = hereEvery

// Send writes calls, and that the service is here. It takes as long as the broker takes
// to read them, which says that it is there: Receive ends when that is not heard any
// more, and whoever receives ends a Send by Close.
func (l *Line) Send(calls []*codec.Call) error {
	l.packet.head(codec.LaneHere)
	for _, c := range calls {
		one := letter{parts: c.Encode()}
		for _, p := range one.parts {
			one.size += len(p)
		}
		if !l.packet.add(&one) {
			if err := l.packet.writeTo(l.conn); err != nil {
				return explain(silence(err))
			}
			l.packet.add(&one)
		}
	}
	return explain(silence(l.packet.writeTo(l.conn)))
}

// ErrGoodbye is that the broker is shutting down: nothing more is to be sent, and the
// answers to what was are still to be received.
var ErrGoodbye = errGoodbye

// Receive waits for the next reply. The error is ErrGoodbye, or why there is none any
// more; a *codec.Error when the broker said so.
func (l *Line) Receive() (*codec.Reply, error) {
	for {
		p, err := nextLetter(l.from, codec.ReplyBytesMax)
		if err == errGoodbye {
			return nil, ErrGoodbye
		}
		if err != nil {
			return nil, explain(silence(err))
		}
		if p == nil {
			continue
		}
		r, err := codec.ParseReply(p)
		switch {
		case err != nil:
			return nil, codec.Errorf(codec.Malformed, "%v", err)
		case r.Cluster != l.conn.peer.Cluster:
			return nil, codec.Errorf(codec.OtherCluster, "a reply of cluster %s on a line to %s", r.Cluster, l.conn.peer.Cluster)
		case r.Number == 0 && r.Code == codec.OK:
			return nil, codec.Errorf(codec.Malformed, "a reply of number 0 that says nothing")
		case r.Number == 0:
			return nil, r.Err()
		}
		return r, nil
	}
}

// Close ends the line; it does not wait.
func (l *Line) Close() { l.conn.end(errClosed) }
