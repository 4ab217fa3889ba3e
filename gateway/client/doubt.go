package client

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// A broker that stands still, or whose cable is cut, refuses nothing: its clients
// would wait for as long as KeepAlive says. So when a server is silent that owes an
// answer, another one is asked who leads; and only when it names somebody else the
// silent one is left. One that is slow, and still leads, is waited for.

// Silence is counted in ticks, as in pulse.go: a client that was itself stopped has
// not heard a server for one tick only.
const (
	doubtEvery = 250 * time.Millisecond
	doubtAfter = 4 // ticks of a server that owes an answer; from then on at each
	nudgeAfter = 8 // of one that pushes, or holds a long poll: it is pinged, and owes one then
	otherWants = time.Second
)

// silence is what is known of one link between two ticks.
type silence struct {
	heard uint64
	ticks int
}

// doubt watches all links until the client is closed.
func (c *Client) doubt() {
	tick := time.NewTicker(doubtEvery)
	defer tick.Stop()
	watched := map[*link]*silence{}
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		open := c.openLinks()
		for l := range watched {
			if !slices.Contains(open, l) {
				delete(watched, l)
			}
		}
		for _, l := range open {
			if watched[l] == nil {
				watched[l] = &silence{heard: l.heard.Load()}
			}
			c.listen(l, watched[l])
		}
	}
}

func (c *Client) openLinks() (open []*link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if !l.isDead() {
			open = append(open, l)
		}
	}
	return open
}

// listen is one tick of one link.
func (c *Client) listen(l *link, s *silence) {
	if now := l.heard.Load(); now != s.heard {
		*s = silence{heard: now}
		return
	}
	owes, holds := l.owes()
	switch {
	case !owes && !holds:
		s.ticks = 0
		return
	case !owes:
		if s.ticks++; s.ticks == nudgeAfter && len(c.others(l.address)) > 0 {
			s.ticks = 0
			l.ping()
		}
		return
	}
	if s.ticks++; s.ticks >= doubtAfter && !l.doubted.Swap(true) {
		c.spawn(func() {
			c.askAbout(l)
			l.doubted.Store(false)
		})
	}
}

// owes says whether an answer is due that comes soon when all is well, and whether
// the server may also keep silent rightly: it pushes, or holds a long poll.
func (l *link) owes() (owes, holds bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	holds = len(l.subs) > 0
	for _, p := range l.waiting {
		if p.op == codec.OpFetch {
			holds = true
		} else if p.sent {
			owes = true
		}
	}
	return owes, holds
}

// others are all servers that are known, but for one; those that were left lately, or
// did not say who leads, come last.
func (c *Client) others(but string) []string {
	good, bad := c.sorted(but)
	return append(good, bad...)
}

// sorted are those that may be asked, and those that come last.
func (c *Client) sorted(but string) (good, bad []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range slices.Concat(c.servers, c.known) {
		switch {
		case a == but || slices.Contains(good, a) || slices.Contains(bad, a):
		case time.Since(c.left[a]) < leftFor:
			bad = append(bad, a)
		default:
			good = append(good, a)
		}
	}
	return good, bad
}

// leftFor is how long a server that was left is asked last.
const leftFor = 10 * time.Second

// askAbout asks another server who leads what the silent one is said to.
func (c *Client) askAbout(l *link) {
	others, bad := c.sorted(l.address)
	if len(others) == 0 { // else a connection to one of bad would be taken, for it is open
		others = bad
	}
	held := l.holdsOf()
	topics := c.ledBy(l, held)
	if len(others) == 0 || len(topics) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, otherWants)
	defer cancel()
	other, err := c.link(ctx, others)
	if err != nil {
		return
	}
	var m codec.Metadata
	if ask(ctx, other, &codec.MetadataQuery{Topics: topics}, &m) != nil {
		c.askLast(other.address) // it may stand still as well
		return
	}
	if !c.deposed(l, held, &m) {
		return
	}
	c.askLast(l.address)
	c.learnFrom(&m, other.address)
	l.abandon(errors.New("it stands still, and others lead by now"))
}

// askLast has a server asked last for a while.
func (c *Client) askLast(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left[address] = time.Now()
}

// holdsOf are the partitions of which a server has requests that it has not answered, or
// to which it is to push. What is known of leaders by now may be another.
func (l *link) holdsOf() map[codec.TopicPartition]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := map[codec.TopicPartition]bool{}
	for _, p := range l.waiting {
		if p.sent && p.about.Topic != "" {
			held[p.about] = true
		}
	}
	for _, s := range l.subs {
		held[s.request.TopicPartition] = true
	}
	return held
}

// ledBy are topics of which a partition is held by a link, or gone to by it.
func (c *Client) ledBy(l *link, held map[codec.TopicPartition]bool) (topics []codec.Topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(t codec.Topic) {
		if !slices.Contains(topics, t) && len(topics) < doubtTopics {
			topics = append(topics, t)
		}
	}
	for tp := range held {
		add(tp.Topic)
	}
	for tp := range c.leaders {
		if c.goesBy(tp, l) {
			add(tp.Topic)
		}
	}
	for tp := range c.leads {
		if c.goesBy(tp, l) {
			add(tp.Topic)
		}
	}
	slices.Sort(topics)
	return topics
}

// goesBy says whether requests about a partition may have gone to the link's server: it
// is said to lead, or nobody is and any server will do. The caller holds the lock.
func (c *Client) goesBy(tp codec.TopicPartition, l *link) bool {
	address := c.leads[tp]
	return address == "" || address == l.address || c.leaders[tp] == l.node
}

// doubtTopics bounds what one question is about.
const doubtTopics = 100

// deposed says whether somebody else leads a partition that the link's server led.
func (c *Client) deposed(l *link, held map[codec.TopicPartition]bool, m *codec.Metadata) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			tp := codec.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if (held[tp] || c.goesBy(tp, l)) && p.Leader != "" && p.Leader != l.node {
				return true
			}
		}
	}
	return false
}

// learnFrom keeps who leads what, as told by the server at an address.
func (c *Client) learnFrom(m *codec.Metadata, address string) {
	c.learnAll(m)
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader == m.Node {
				c.learn(codec.TopicPartition{Topic: t.Topic, Partition: p.Partition}, address)
			}
		}
	}
}

// abandon ends a link whose server stands still. What was written and not read there
// is thrown away as far as TCP can: the connection is reset.
func (l *link) abandon(why error) {
	nc := l.net
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
	l.fail(why)
}
