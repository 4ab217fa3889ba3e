package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// cast is the brokers of a demo: each with a directory, a link and a door of its
// own, all inside this program.
type cast struct {
	dir   string
	nodes map[codec.NodeID]*node
	doors map[codec.NodeID]string
	links []string
}

// castNames are the three that found the cluster. demoFourth joins it.
var castNames = []codec.NodeID{"n1", "n2", "n3"}

const demoFourth codec.NodeID = "n4"

// newCast starts the three.
func newCast(ctx context.Context, dir string) (*cast, error) {
	c := &cast{dir: dir, nodes: map[codec.NodeID]*node{}, doors: map[codec.NodeID]string{}}
	for range castNames {
		at, err := freePort()
		if err != nil {
			return nil, err
		}
		c.links = append(c.links, at)
	}
	var starting sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for i, name := range castNames {
		starting.Go(func() {
			n, door, err := c.start(ctx, name, c.links[i])
			mu.Lock()
			defer mu.Unlock()
			c.nodes[name], c.doors[name], errs = n, door, append(errs, err)
		})
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// start starts one broker that is told to join all of the first.
func (c *cast) start(ctx context.Context, name codec.NodeID, link string) (*node, string, error) {
	door, err := freePort()
	if err != nil {
		return nil, "", err
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	n, err := startNode(ctx, serveConfig{Data: filepath.Join(c.dir, string(name)), Node: string(name), Listen: door, Link: link, Join: strings.Join(c.links, ","), Gossip: "none"}, log)
	if err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	return n, door, nil
}

// freePort is an address of this machine on which nobody listens.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// servers are the doors of those that run.
func (c *cast) servers() (all []string) {
	for _, name := range append(castNames, demoFourth) {
		if c.nodes[name] != nil {
			all = append(all, c.doors[name])
		}
	}
	return all
}

// kill ends a broker as a crash does: it hands nothing over and says goodbye to no
// client.
func (c *cast) kill(name codec.NodeID) error {
	n := c.nodes[name]
	delete(c.nodes, name)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.gateway.Close(now) // which says that it was cut
	n.linked.close()
	soon, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return n.broker.Close(soon)
}

func (c *cast) close() error {
	var mu sync.Mutex
	var errs []error
	var closing sync.WaitGroup
	for _, n := range c.nodes {
		if n != nil {
			closing.Go(func() {
				err := n.stop()
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	closing.Wait()
	return errors.Join(errs...)
}

// troupe is the second half of the demo: three brokers, of which the one that leads
// is killed while the changes are published, and a fourth takes its place. What that
// one has, alone, is the proof.
func (p *play) troupe(ctx context.Context, dir string) (err error) {
	begun := time.Now()
	c, err := newCast(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p.say("\nThree brokers, each with a directory of its own, which found a cluster in %v:\n\n", roundly(time.Since(begun)))
	cl, err := client.Dial(ctx, c.servers(), client.Options{Name: "demo"})
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err := cl.CreateTopic(ctx, codec.CreateTopic{Topic: demoTopic, Partitions: demoPartitions, Replicas: 3}); err != nil {
		return err
	}
	dead, err := p.publishThroughADeath(ctx, c, cl)
	if err != nil {
		return err
	}
	if err := p.understudy(ctx, c, cl, dead); err != nil {
		return err
	}
	return p.proveOn(ctx, c.doors[demoFourth])
}

// publishThroughADeath publishes the story. In the middle the broker is killed that
// leads the first partition.
func (p *play) publishThroughADeath(ctx context.Context, c *cast, cl *client.Client) (dead codec.NodeID, err error) {
	producer, err := cl.Producer(ctx, demoTopic, client.ProducerOptions{})
	if err != nil {
		return "", err
	}
	var mu sync.Mutex
	from := time.Now()
	last, longest := from, time.Duration(0) // since the kill
	acknowledged := func(codec.Partition, codec.Offset, error) {
		mu.Lock()
		defer mu.Unlock()
		longest, last = max(longest, time.Since(last)), time.Now()
	}
	killed := make(chan error, 1)
	for i := range p.story.changes {
		if i == len(p.story.changes)/2 {
			m, err := cl.Metadata(ctx, demoTopic)
			if err != nil || len(m.Topics) != 1 || len(m.Topics[0].Partitions) == 0 {
				return "", errors.Join(fmt.Errorf("nobody says who leads %s", demoTopic), err)
			}
			dead = m.Topics[0].Partitions[0].Leader
			if c.nodes[dead] == nil {
				return "", fmt.Errorf("%s is led by %q, and there is no such broker", demoTopic, dead)
			}
			mu.Lock()
			last, longest = time.Now(), 0
			mu.Unlock()
			go func() { killed <- c.kill(dead) }()
		}
		one := &p.story.changes[i]
		r := codec.Record{Timestamp: one.at, Key: []byte(one.Booking), Value: one.encode()}
		if err := producer.ProduceTo(ctx, partitionOf(one.Booking), r, acknowledged); err != nil {
			return "", err
		}
	}
	err = producer.Close(ctx)
	took := roundly(time.Since(from))
	if err := errors.Join(err, <-killed); err != nil {
		return "", fmt.Errorf("publish: %w", err)
	}
	p.tell("reservations", "published %s again in %v, each acknowledged by two of three disks", count(int64(len(p.story.changes)), "change"), took)
	p.tell(string(dead), "led, and was killed in the middle: nothing was acknowledged for %v, and no error was seen", roundly(longest))
	return dead, nil
}

// understudy has a fourth broker join, and take the place of the dead one.
func (p *play) understudy(ctx context.Context, c *cast, cl *client.Client, dead codec.NodeID) error {
	begun := time.Now()
	link, err := freePort()
	if err != nil {
		return err
	}
	n, door, err := c.start(ctx, demoFourth, link)
	if err != nil {
		return err
	}
	c.nodes[demoFourth], c.doors[demoFourth] = n, door
	for i := range codec.Partition(demoPartitions) {
		tp := codec.TopicPartition{Topic: demoTopic, Partition: i}
		d, err := cl.DescribeTopic(ctx, demoTopic)
		if err != nil {
			return err
		}
		nodes, err := clusterMove{string(dead), string(demoFourth)}.moved(tp, d.Partitions[i].Replicas)
		if err == nil {
			err = cl.ChangeReplicas(ctx, tp, nodes)
		}
		if err != nil {
			return err
		}
	}
	if err := p.awaitCopies(ctx, n, dead); err != nil {
		return err
	}
	p.tell(string(demoFourth), "joined and took the place of %s, with all that it had, in %v", dead, roundly(time.Since(begun)))
	return nil
}

// awaitCopies waits until no replica is on the dead broker any more.
func (p *play) awaitCopies(ctx context.Context, n *node, dead codec.NodeID) error {
	for {
		moving := false
		for _, one := range n.broker.Metadata().Topics[demoTopic].Partitions {
			moving = moving || one.Change != 0
		}
		if !moving {
			return nil
		}
		if err := pauseFor(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%s was not replaced: %w", dead, err)
		}
	}
}

// proveOn reads everything at one broker.
func (p *play) proveOn(ctx context.Context, door string) error {
	cl, err := client.Dial(ctx, []string{door}, client.Options{Name: "demo"})
	if err != nil {
		return err
	}
	defer cl.Close()
	spans, err := cl.Spans(ctx, demoTopic, false)
	if err != nil {
		return err
	}
	r, proof := cl.Read(demoTopic, spans, client.ReadOptions{}), newProof(p.story)
	defer r.Close()
	for {
		n, record, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		proof.see(n, record)
	}
	if err := proof.verdict(); err != nil {
		return err
	}
	p.say("\nProved: %s has all %s, none lost, none doubled, each booking's in order.\n", demoFourth, count(int64(len(p.story.changes)), "change"))
	return nil
}
