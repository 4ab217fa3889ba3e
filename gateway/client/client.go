package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Options of a Client; the zero value will do.
type Options struct {
	Name        string        // of the program, told to the broker
	Version     string        // of the program
	DialTimeout time.Duration // for a connection and HELLO, 5 s; the next server is tried beside it after a tenth
	KeepAlive   time.Duration // silence after which the server is asked; after twice as much it is taken for dead, 30 s
	RetryFor    time.Duration // how long single reads are repeated when that can help, 30 s
	MetadataAge time.Duration // after which a producer or consumer asks anew where partitions are and how many, 5 min
	// Dial opens a connection; nil = TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// TLS is spoken on each connection; nil = none. Where it verifies hosts and
	// names none, that of the server's address is meant.
	TLS *tls.Config
	// Token says who the client is, where brokers ask and no certificate does.
	Token string
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "troupe-go"
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 30 * time.Second
	}
	if o.RetryFor == 0 {
		o.RetryFor = 30 * time.Second
	}
	if o.MetadataAge == 0 {
		o.MetadataAge = 5 * time.Minute
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	}
	return o
}

// errClosed is what a closed Client says.
var errClosed = codec.Errorf(codec.InvalidArgument, "the client is closed")

// Client talks to a cluster. It is safe for use by several goroutines.
type Client struct {
	options Options
	servers []string
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc

	mu      sync.Mutex
	closed  bool
	links   map[string]*link // by address
	dials   map[string]*dialing
	singles map[codec.TopicPartition]*route       // of ready batches without an answer
	known   []string                              // addresses that METADATA named, beside servers
	left    map[string]time.Time                  // servers that stood still, and when they were left
	leaders map[codec.TopicPartition]codec.NodeID // as METADATA named them
	leads   map[codec.TopicPartition]string       // addresses of leaders, where it is not any server that will do
	asking  map[codec.Topic][]*Producer           // whose metadata is on its way, and who wants to know
	running sync.WaitGroup                        // links that ended, until their callbacks did, and what else runs
}

// Dial connects to the first of servers that answers. Later, when that
// connection is lost, the next request connects anew. The error is a
// *codec.Error that says why for each server; when ctx has ended it is ctx's
// beside it.
func Dial(ctx context.Context, servers []string, o Options) (*Client, error) {
	if len(servers) == 0 {
		return nil, codec.Errorf(codec.InvalidArgument, "no server to connect to")
	}
	c := &Client{
		options: o.withDefaults(), servers: slices.Clone(servers),
		links: map[string]*link{}, dials: map[string]*dialing{}, leads: map[codec.TopicPartition]string{}, singles: map[codec.TopicPartition]*route{}, left: map[string]time.Time{}, leaders: map[codec.TopicPartition]codec.NodeID{}, asking: map[codec.Topic][]*Producer{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.spawn(c.doubt)
	if _, err := c.any(ctx); err != nil {
		c.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	return c, nil
}

// Close ends all connections. Requests in flight end with an error; when it
// returns, all callbacks have. It must not be called from a callback.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	all := c.links
	c.links = nil
	c.mu.Unlock()
	c.cancel()
	for _, l := range all {
		l.close()
	}
	c.running.Wait()
}

// spawn runs something that Close waits for, unless the client is closed.
func (c *Client) spawn(run func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.running.Go(run)
	return true
}
