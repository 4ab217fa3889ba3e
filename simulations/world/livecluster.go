package world

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Live is a simulated cluster that programs talk to by its gateways, on the clock
// of the bubble that Test makes. Its methods may be called from any goroutine
// of the bubble, but CreateTopic and Leader only from the one that runs play:
// they fail the test.
type Live struct {
	t       *testing.T
	seed    uint64
	driver  *driver
	cluster *Cluster
	hosts   []*host
	closing sync.WaitGroup
}

// startWithin is how long it may take until a cluster, a topic or a leader is
// there.
const startWithin = time.Minute

// retryDial is after how long a connection is tried again that nobody answered,
// as TCP does.
const retryDial = time.Second

// livePort is where the gateway of every node listens.
const livePort = ":9650"

// newLive founds a cluster of n nodes and waits until clients can connect to
// each.
func newLive(t *testing.T, d *driver, n int) (*Live, error) {
	l := &Live{t: t, seed: d.w.seed, driver: d}
	d.look = l.look
	d.enter()
	c, err := newCluster(d.w, n)
	if err == nil {
		l.cluster = c
		d.last = func() { _ = c.close() } // disks lie in memory, and would stay there
		for _, node := range c.nodes {
			l.hosts = append(l.hosts, newHost(d, node, string(node.name)+livePort, &l.closing))
			node.Start()
		}
	}
	d.exit()
	d.start()
	if err != nil {
		return l, err
	}
	err = l.await("all nodes have started", func() bool {
		return !slices.ContainsFunc(l.hosts, func(h *host) bool { return h.door == nil })
	})
	c.founded = err == nil
	return l, err
}

// look follows what became of the nodes in a round.
func (l *Live) look() {
	for _, h := range l.hosts {
		h.look()
		if n := h.node; n.Up() && n.failure != nil {
			l.cluster.fail(fmt.Errorf("%s does not start: %w", n.name, n.failure))
		}
	}
}

// end kills all nodes and ends the World. It returns what went wrong inside.
func (l *Live) end() error {
	l.inside(func() {
		for _, h := range l.hosts {
			h.node.Kill()
		}
		l.look()
	})
	l.closing.Wait()
	l.driver.halt()
	if l.cluster == nil {
		return nil
	}
	return errors.Join(l.cluster.broken, l.cluster.close())
}

func (l *Live) inside(f func()) {
	l.driver.enter()
	defer l.driver.exit()
	f()
}

// await waits, in virtual time, until the condition holds; it is asked inside.
func (l *Live) await(what string, until func() bool) error {
	for left := startWithin; ; left -= time.Millisecond {
		var done bool
		var broken error
		l.inside(func() { done, broken = until(), l.cluster.broken })
		if done || broken != nil {
			return broken
		}
		if left <= 0 {
			return fmt.Errorf("%s has waited in vain for: %s", startWithin, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// Seed is what the cluster was made from.
func (l *Live) Seed() uint64 { return l.seed }

// Rand is a generator of the test's own: the same for the same seed and name.
// Each call begins it anew.
func (l *Live) Rand(name string) *rand.Rand { return stream(l.seed, "test/"+name) }

// Nodes are the names of all nodes: n1, n2 and so on.
func (l *Live) Nodes() []codec.NodeID { return slices.Clone(l.cluster.founding.Nodes) }

// Addresses are where clients reach the nodes, for client.Dial.
func (l *Live) Addresses() (list []string) {
	for _, h := range l.hosts {
		list = append(list, h.address)
	}
	return list
}

// Dial connects to the gateway of a node, as client.Options.Dial does. When the
// node is killed the connection is reset; it is refused while the node is
// down; and nobody answers where the power or the way is cut.
func (l *Live) Dial(ctx context.Context, at string) (net.Conn, error) {
	i := slices.IndexFunc(l.hosts, func(h *host) bool { return h.address == at })
	if i < 0 {
		return nil, dialFailed(at, &net.DNSError{Err: "no such host in the simulated cluster", Name: at, IsNotFound: true})
	}
	h := l.hosts[i]
	for {
		var e *end
		var answers bool
		var trip time.Duration
		l.inside(func() {
			e, answers = h.knock()
			trip = wayLeast + delayOf(h.chance)
		})
		if !answers {
			trip = retryDial
		}
		select {
		case <-time.After(trip):
		case <-ctx.Done():
			if e != nil {
				_ = e.Close()
			}
			return nil, dialFailed(at, ctx.Err())
		}
		switch {
		case e != nil:
			return e, nil
		case answers:
			return nil, dialFailed(at, syscall.ECONNREFUSED)
		}
	}
}

func dialFailed(at string, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: address(at), Err: err}
}

// CreateTopic makes a topic with up to three replicas of each partition, and
// waits until every node that is up serves it. It fails the test when that does
// not come about. Other settings are for a client's CreateTopic.
func (l *Live) CreateTopic(name codec.Topic, partitions int) {
	l.t.Helper()
	req := codec.CreateTopic{Topic: name, Partitions: int32(partitions), Replicas: int32(min(3, len(l.hosts)))}
	var done bool
	var got error
	l.inside(func() {
		n := l.cluster.any()
		if n == nil {
			done, got = true, errNobody
			return
		}
		n.Broker.CreateTopic(req, func(_ codec.TopicDescription, err error) { done, got = true, err })
	})
	err := l.await("an answer", func() bool { return done })
	if err == nil && got == nil {
		err = l.await("every node serves the topic", func() bool { return l.serve(name, partitions) })
	}
	if err = errors.Join(err, got); err != nil {
		l.t.Fatalf("world: create topic %s: %v", name, err)
	}
}

// serve says whether each partition is led, and known to every node that is up.
func (l *Live) serve(name codec.Topic, partitions int) bool {
	for i := range partitions {
		log := codec.TopicPartition{Topic: name, Partition: codec.Partition(i)}
		if lead, _ := l.cluster.leader(log); lead == nil {
			return false
		}
		for _, h := range l.hosts {
			if !h.node.Up() {
				continue
			}
			if _, err := h.node.Broker.Topic(name); err != nil {
				return false
			}
		}
	}
	return true
}

// Leader is the node that leads a partition; it waits until there is one. It
// fails the test when there is none for a minute.
func (l *Live) Leader(name codec.Topic, p codec.Partition) codec.NodeID {
	l.t.Helper()
	var lead *Node
	log := codec.TopicPartition{Topic: name, Partition: p}
	err := l.await("a leader", func() bool {
		lead, _ = l.cluster.leader(log)
		return lead != nil
	})
	if err != nil {
		l.t.Fatalf("world: leader of %s: %v", log, err)
	}
	return lead.name
}
