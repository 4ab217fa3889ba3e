package client

import (
	"context"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// dialing is a search for a server that answers, for all who want one.
type dialing struct {
	done chan struct{} // closed when link and err are set
	link *link
	err  error
}

// any is a link to one of the servers that the client knows, those that it was given
// first.
func (c *Client) any(ctx context.Context) (*link, error) { return c.link(ctx, c.others("")) }

// link is an open link to one of addresses. One search runs for them at a
// time; it goes on when ctx ends, for others may wait for it too.
func (c *Client) link(ctx context.Context, addresses []string) (*link, error) {
	c.mu.Lock()
	l, err := c.live(addresses)
	if l != nil || err != nil {
		c.mu.Unlock()
		return l, err
	}
	key := strings.Join(addresses, ",")
	d := c.dials[key]
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		c.dials[key] = d
		c.running.Go(func() { c.dial(d, key, addresses) })
	}
	c.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// live is an open link to one of addresses, if there is one. The caller holds
// the lock.
func (c *Client) live(addresses []string) (*link, error) {
	if c.closed {
		return nil, errClosed
	}
	for _, a := range addresses {
		l := c.links[a]
		if l == nil {
			continue
		}
		if !l.isDead() {
			return l, nil
		}
		delete(c.links, a)
		c.running.Go(l.running.Wait)
	}
	return nil, nil
}

// dial is one search.
func (c *Client) dial(d *dialing, key string, addresses []string) {
	l, err := c.race(addresses)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.dials, key)
	switch {
	case err != nil:
		d.err = err
	case c.closed:
		d.err = errClosed
		c.running.Go(l.close)
	case c.links[l.address] != nil && !c.links[l.address].isDead(): // another search was faster
		d.link = c.links[l.address]
		c.running.Go(l.close)
	default:
		if old := c.links[l.address]; old != nil {
			c.running.Go(old.running.Wait)
		}
		c.links[l.address] = l
		d.link = l
	}
	close(d.done)
}

// race tries one address after the other; each gets a tenth of DialTimeout
// before the next is tried beside it. The first that shakes hands wins.
func (c *Client) race(addresses []string) (*link, error) {
	type tried struct {
		link *link
		err  error
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	results := make(chan tried, len(addresses))
	start := func(a string) {
		c.running.Go(func() {
			l, err := openLink(ctx, a, c.options)
			results <- tried{l, err}
		})
	}
	head := time.NewTimer(c.options.DialTimeout / 10)
	defer head.Stop()
	start(addresses[0])
	started, ended := 1, 0
	var says []string
	for ended < len(addresses) {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				c.running.Go(func() { // those who come late
					for range started - ended {
						if late := <-results; late.link != nil {
							late.link.close()
						}
					}
				})
				return r.link, nil
			}
			says = append(says, r.err.Error())
			if len(addresses) == 1 {
				return nil, r.err
			}
		case <-head.C:
		}
		if started < len(addresses) {
			start(addresses[started])
			started++
			head.Reset(c.options.DialTimeout / 10)
		}
	}
	return nil, codec.Errorf(codec.Unavailable, "no server answers: %s", strings.Join(says, "; "))
}
