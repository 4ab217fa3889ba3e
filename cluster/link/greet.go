package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// protocolName is the link's in ALPN. It is not that of clients: what is meant
// for one door does not come in by the other.
const protocolName = "troupe-link/1"

// greeting is what a broker says of itself.
func (s Self) greeting(life uint64, purpose codec.Purpose, to codec.NodeID) *codec.Greeting {
	return &codec.Greeting{
		VersionMin: codec.LinkVersion, VersionMax: codec.LinkVersion, Purpose: purpose, Role: codec.RoleBroker,
		Cluster: s.Cluster, Node: s.Node, Disk: s.Disk, Life: life, Address: s.Address, To: to,
	}
}

// peerOf is who says a greeting.
func peerOf(g *codec.Greeting) Peer {
	return Peer{Cluster: g.Cluster, Node: g.Node, Disk: g.Disk, Life: g.Life, Address: g.Address}
}

func purposeOf(l codec.Lane) codec.Purpose {
	if l == codec.LaneBulk {
		return codec.PurposeBulk
	}
	return codec.PurposeControl
}

// dialler opens connections and greets on them.
type dialler struct {
	dial func(ctx context.Context, address string) (net.Conn, error)
	tls  *trust.Credentials
}

// greet opens a connection to address, says g, and is done when it was
// answered. A refusal is a *codec.Error.
func (d dialler) greet(ctx context.Context, address string, g *codec.Greeting) (*conn, error) {
	dialling, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	raw, err := d.dial(dialling, address)
	if err != nil {
		return nil, explain(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(greetWithin))
	c, err := d.exchange(raw, g)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, explain(err)
	}
	_ = raw.SetDeadline(time.Time{})
	return c, nil
}

func (d dialler) exchange(raw net.Conn, g *codec.Greeting) (*conn, error) {
	c := &conn{net: raw, raw: raw, out: true, done: make(chan struct{})}
	var shown codec.Identity
	if d.tls != nil {
		t := tls.Client(raw, d.tls.Client(protocolName, func(who codec.Identity) error {
			shown = who
			if g.To != "" && who.Name != string(g.To) {
				return codec.Errorf(codec.WrongNode, "its certificate names %s, and node %q was dialled: correct the address of that one", who, g.To)
			}
			return nil
		}))
		if err := t.Handshake(); err != nil {
			return nil, err
		}
		c.net = t
	}
	if _, err := c.net.Write(append([]byte(codec.LinkMagic), codec.EncodeGreeting(g).Bytes()...)); err != nil {
		return nil, err
	}
	frame, err := codec.NewFrameReader(c.net, codec.GreetingFrameMax).Read(nil)
	if err != nil {
		return nil, fmt.Errorf("no answer to the greeting: %w", err)
	}
	answer, err := codec.ParseGreeted(frame)
	if e, no := codec.ParseEnvelope(frame); err != nil && no == nil && e.Kind == codec.KindResponse {
		return nil, errClients
	}
	if err != nil {
		return nil, err
	}
	if err := unlike(g, answer, shown); err != nil {
		return nil, err
	}
	c.peer, c.window = peerOf(answer), answer.Window
	return c, nil
}

// errClients is that clients are answered there.
var errClients = codec.Errorf(codec.Malformed, "that is where clients come in: links are dialled at another port, 9651 by default")

// unlike says why who answered is not who was greeted. It has agreed, so this
// is about what it could not know.
func unlike(g, answer *codec.Greeting, shown codec.Identity) error {
	switch {
	case answer.VersionMin > g.VersionMax || answer.VersionMax < g.VersionMin:
		return codec.Errorf(codec.VersionUnknown, "it speaks versions %d to %d of the link, this broker %d to %d", answer.VersionMin, answer.VersionMax, g.VersionMin, g.VersionMax)
	case answer.Role != codec.RoleBroker:
		return codec.Errorf(codec.Denied, "it says that it is a %s: only brokers answer", answer.Role)
	case shown.Name != "" && shown.Name != string(answer.Node):
		return codec.Errorf(codec.AuthFailed, "it says that it is node %q, and its certificate names %s", answer.Node, shown)
	case g.To != "" && answer.Node != g.To:
		return codec.Errorf(codec.WrongNode, "node %q is there, and %q was dialled: correct the address of that one", answer.Node, g.To)
	case g.Purpose == codec.PurposeService:
		if g.Cluster != (codec.UUID{}) && answer.Cluster != g.Cluster {
			return codec.Errorf(codec.OtherCluster, "it is of cluster %s, this service of %s", answer.Cluster, g.Cluster)
		}
		if answer.Window.Calls < 1 || answer.Window.Bytes < codec.CallCostMax {
			return codec.Errorf(codec.Malformed, "it grants a window of %d calls and %d bytes", answer.Window.Calls, answer.Window.Bytes)
		}
	case answer.Node == g.Node && (answer.Life != g.Life || g.Purpose != codec.PurposeQuestions):
		return codec.Errorf(codec.Clone, "it is node %q as well: give one of the two a name and a data directory of its own", g.Node)
	case g.Purpose != codec.PurposeQuestions && answer.Cluster != g.Cluster:
		return codec.Errorf(codec.OtherCluster, "it is of cluster %s, this broker of %s", answer.Cluster, g.Cluster)
	}
	return nil
}
