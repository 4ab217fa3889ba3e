package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// look asks each broker by itself what it knows of topics: a leader knows who is
// in sync, and who is cut off knows what it knew.
type look struct {
	cluster *Cluster
	mu      sync.Mutex
	clients map[*Broker]*client.Client
}

func newLook(c *Cluster) *look { return &look{cluster: c, clients: map[*Broker]*client.Client{}} }

// lookWithin is how long one broker may take to answer.
const lookWithin = 2 * time.Second

// topic is a topic as those see it who lead its partitions: of two that say that
// they do, the one in the later epoch.
func (l *look) topic(ctx context.Context, name codec.Topic) (codec.TopicDescription, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	all := make([]codec.TopicDescription, len(l.cluster.Brokers))
	errs := make([]error, len(all))
	var asking sync.WaitGroup
	for i, b := range l.cluster.Brokers {
		asking.Go(func() { all[i], errs[i] = l.ask(ctx, b, name) })
	}
	asking.Wait()
	var d codec.TopicDescription
	for i, one := range all {
		if errs[i] != nil {
			continue
		}
		if d.Topic == "" {
			d = one
			d.Partitions = slices.Clone(one.Partitions)
			for p := range d.Partitions {
				d.Partitions[p].InSync = nil
			}
		}
		for p := range min(len(d.Partitions), len(one.Partitions)) {
			seen, was := one.Partitions[p], &d.Partitions[p]
			if string(seen.Leader) == l.cluster.Brokers[i].Node && (was.InSync == nil || seen.Epoch >= was.Epoch) {
				*was = seen
			}
		}
	}
	if d.Topic == "" {
		return d, fmt.Errorf("no broker describes %s: %w", name, errors.Join(errs...))
	}
	return d, nil
}

func (l *look) ask(ctx context.Context, b *Broker, name codec.Topic) (codec.TopicDescription, error) {
	l.mu.Lock()
	c := l.clients[b]
	l.mu.Unlock()
	if c == nil {
		from := l.cluster.servers()
		from.addresses = []string{b.Address}
		var err error
		if c, err = from.client(ctx, "chaos-look"); err != nil {
			return codec.TopicDescription{}, err
		}
		l.mu.Lock()
		if l.clients[b] != nil {
			go c.Close()
			c = l.clients[b]
		}
		l.clients[b] = c
		l.mu.Unlock()
	}
	return c.DescribeTopic(ctx, name)
}

func (l *look) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.clients {
		c.Close()
	}
}
