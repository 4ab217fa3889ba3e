package client

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Options of a Client; the zero value will do.
type Options struct {
	Name        string        // of the program, told to the broker
	Version     string        // of the program
	DialTimeout time.Duration // for a connection and HELLO, 5 s
	KeepAlive   time.Duration // silence after which the server is asked; after twice as much it is taken for dead, 30 s
	RetryFor    time.Duration // how long reads are repeated when that can help, 30 s
	// Dial opens a connection, TLS for instance; nil = TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
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
	dialing chan struct{} // holds one value while nobody dials

	mu     sync.Mutex
	closed bool
	links  map[string]*link                // by address
	lost   sync.WaitGroup                  // links that ended, until their callbacks did
	leads  map[codec.TopicPartition]string // addresses that NOT_LEADER named
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
		options: o.withDefaults(), servers: slices.Clone(servers), dialing: make(chan struct{}, 1),
		links: map[string]*link{}, leads: map[codec.TopicPartition]string{},
	}
	c.dialing <- struct{}{}
	if _, err := c.any(ctx); err != nil {
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
	for _, l := range all {
		l.close()
	}
	c.lost.Wait()
}

// live is an open link to one of addresses, if there is one.
func (c *Client) live(addresses []string) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	for _, a := range addresses {
		if l := c.links[a]; l != nil {
			select {
			case <-l.dead:
				delete(c.links, a)
				c.lost.Go(l.running.Wait)
			default:
				return l, nil
			}
		}
	}
	return nil, nil
}

// any is a link to one of the servers that the client was given.
func (c *Client) any(ctx context.Context) (*link, error) { return c.link(ctx, c.servers) }

// link is an open link to one of addresses. One goroutine dials at a time.
func (c *Client) link(ctx context.Context, addresses []string) (*link, error) {
	if l, err := c.live(addresses); l != nil || err != nil {
		return l, err
	}
	select {
	case <-c.dialing:
		defer func() { c.dialing <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l, err := c.live(addresses); l != nil || err != nil {
		return l, err
	}
	var says []string
	var last error
	for _, a := range addresses {
		l, err := openLink(ctx, a, c.options)
		if err == nil {
			return c.keep(l)
		}
		last = err
		says = append(says, err.Error())
	}
	if len(says) == 1 {
		return nil, last
	}
	return nil, codec.Errorf(codec.Unavailable, "no server answers: %s", strings.Join(says, "; "))
}

func (c *Client) keep(l *link) (*link, error) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.links[l.address] = l
	}
	c.mu.Unlock()
	if closed {
		l.close()
		return nil, errClosed
	}
	return l, nil
}

// leader is a link for requests about a partition: where NOT_LEADER sent us
// last, else any.
func (c *Client) leader(ctx context.Context, tp codec.TopicPartition) (*link, error) {
	c.mu.Lock()
	address := c.leads[tp]
	c.mu.Unlock()
	if address != "" {
		if l, err := c.link(ctx, []string{address}); err == nil {
			return l, nil
		}
		c.learn(tp, "")
	}
	return c.any(ctx)
}

func (c *Client) learn(tp codec.TopicPartition, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address == "" {
		delete(c.leads, tp)
	} else {
		c.leads[tp] = address
	}
}

// heed takes a hint out of an answer's error and returns the error.
func (c *Client) heed(tp codec.TopicPartition, err error) error {
	var e *codec.Error
	if errors.As(err, &e) && e.Code == codec.NotLeader {
		c.learn(tp, e.Leader)
	}
	return err
}

// ask sends r on l and waits for the answer, decoded into m.
func ask(ctx context.Context, l *link, r codec.Request, m codec.Message) error {
	done := make(chan error, 1)
	var got codec.Envelope
	err := l.send(ctx, r, func(e codec.Envelope, err error) {
		got = e
		done <- err
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		if err != nil {
			return err
		}
		return got.Decode(m)
	case <-ctx.Done():
		if changes(r.Op()) {
			return codec.Errorf(codec.Unknown, "%v: no answer yet: %v", r.Op(), ctx.Err())
		}
		return ctx.Err()
	}
}
