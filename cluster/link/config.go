package link

import (
	"context"
	"net"
	"time"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// Self is who a broker is to others.
type Self struct {
	// Cluster may be zero, for none yet: then questions are all that goes.
	Cluster codec.UUID
	Node    codec.NodeID
	Disk    codec.UUID
	// Address is where others reach its link.
	Address string
}

// Peer is who is on the other side of a connection. With TLS its node is what
// its certificate names.
type Peer struct {
	Cluster codec.UUID // zero: none yet
	Node    codec.NodeID
	Disk    codec.UUID
	Life    uint64 // of its process
	Address string // where it says that its link is reached
}

// Config of a Link. All but Self may be left out.
type Config struct {
	Self Self
	// Listener takes what others send; nil takes nothing. Close closes it.
	Listener net.Listener
	// Dial opens a connection; nil opens one by TCP. One that nobody listens
	// for must fail with syscall.ECONNREFUSED.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// TLS is what this broker shows and whom it believes. nil speaks no TLS and
	// believes everybody, which is for loopback.
	TLS *trust.Credentials

	// Hear is called with each letter, from the goroutine of its connection: it
	// must not wait, nor call Close. The letter's memory is its own.
	Hear func(from codec.NodeID, letter []byte)
	// Lost is called when the process of a peer has ended, once; like Hear.
	Lost func(node codec.NodeID)
	// Answer answers a question; nil has none asked. It must return soon: Close
	// waits for it.
	Answer func(from Peer, question []byte) []byte
	// Serve is called with each call of a service, from the goroutine of its
	// connection, which it may hold up until ctx ends, that of a batch soon: nothing more
	// of that service is read then. reply is to be called once, and does not wait; forget, which may be
	// nil, is called when nobody waits for it any more. nil takes no services.
	Serve func(ctx context.Context, service string, call *codec.Call, reply func(*codec.Reply)) (forget func())
	// Window is what each connection of a service is granted: 1,024 calls and 8 MiB by
	// default. It is at least one call, of any kind.
	Window codec.Window
	// Log is told what happens to peers and connections, with keys and values
	// in turn; never of single letters. nil = silence.
	Log func(event string, fields ...any)

	// ControlBytes and BulkBytes bound what waits for one peer on a lane, 4 MiB
	// and 32 MiB by default. Beyond them letters are lost: smaller ones cost
	// repetitions after a short stall, larger ones memory for each peer that
	// does not read.
	ControlBytes int
	BulkBytes    int
	// LetterBytes is the largest letter that is sent and taken, 64 MiB by
	// default. It has to be the same on all brokers, and above the largest
	// batch.
	LetterBytes int
}

func (c Config) withDefaults() Config {
	if c.ControlBytes == 0 {
		c.ControlBytes = 4 << 20
	}
	if c.BulkBytes == 0 {
		c.BulkBytes = 32 << 20
	}
	if c.LetterBytes == 0 {
		c.LetterBytes = 64 << 20
	}
	if c.Window == (codec.Window{}) {
		c.Window = codec.Window{Calls: 1024, Bytes: 8 << 20}
	}
	c.Window = codec.Window{Calls: max(1, c.Window.Calls), Bytes: max(codec.CallCostMax, c.Window.Bytes)}
	if c.Dial == nil {
		c.Dial = DialTCP
	}
	if c.Hear == nil {
		c.Hear = func(codec.NodeID, []byte) {}
	}
	if c.Lost == nil {
		c.Lost = func(codec.NodeID) {}
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c
}

// laneBytes is the bound on a lane's queue.
func (c *Config) laneBytes(kind codec.Lane) int {
	if kind == codec.LaneBulk {
		return c.BulkBytes
	}
	return c.ControlBytes
}

// Times of a link.
const (
	dialWithin  = 3 * time.Second  // until a connection is open
	laneWithin  = time.Second      // the same of a lane: by itself a dial sends again after a second, so it is better begun anew
	greetWithin = 5 * time.Second  // from then on, until both know who the other is
	hereEvery   = time.Second      // who dialled says that it is there
	silentAfter = 3 * time.Second  // nothing heard: Status says so
	deadAfter   = 15 * time.Second // nothing heard: the connection is closed
	sayWithin   = 3 * time.Second  // a word of four bytes
	closeWithin = time.Second      // what waits to leave when a Link is closed
)
