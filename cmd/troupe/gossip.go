package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/cluster/member"
	"github.com/troupe-mq/troupe/codec"
)

// Gossip is a hint: it tells sooner where a broker is that moved, and who is not
// heard. A broker without it is as safe as one with it.

const (
	gossipPort = "9652"
	gossipNone = "none"
)

// gossipAddress is where to listen; chosen says that it was said so.
func (c *serveConfig) gossipAddress() (address string, chosen bool) {
	if c.Gossip != "" {
		return c.Gossip, true
	}
	at := c.Link
	if at == "" {
		at = linkDefault
	}
	host, _, _ := net.SplitHostPort(at) // it was checked
	return net.JoinHostPort(host, gossipPort), false
}

// checkGossip checks what the gossip needs.
func (c *serveConfig) checkGossip() error {
	at, _ := c.gossipAddress()
	if at == gossipNone {
		return nil
	}
	host, _, err := net.SplitHostPort(at)
	switch {
	case err != nil:
		return usagef("--gossip %q: want HOST:PORT, such as 127.0.0.1:%s, or none", at, gossipPort)
	case c.GossipKey == "" && c.TLSCert != "":
		return usagef("--gossip-key is missing, and the link has TLS: make one for all brokers with troupe keygen, or say --gossip none")
	case c.GossipKey == "" && !c.Insecure && !isLoopback(host):
		return usagef("--gossip %s can be reached by others: give --gossip-key (see troupe keygen), use 127.0.0.1, or say --insecure", at)
	}
	return nil
}

// startGossip begins the gossip of a broker that belongs to a cluster.
func (l *linked) startGossip() error {
	at, chosen := l.cfg.gossipAddress()
	if at == gossipNone {
		return nil
	}
	c := member.Config{
		Node: l.self.Node, Cluster: l.self.Cluster, Disk: l.self.Disk, Link: l.self.Address, Bind: at,
		Known: func() []string { return l.knownGossip(l.ctx) }, Changed: l.lookAround, Log: l.log,
	}
	if l.cfg.GossipKey != "" {
		var err error
		if c.Keyring, err = member.ReadKeyring(l.cfg.GossipKey); err != nil {
			return err
		}
	}
	if host, _, _ := net.SplitHostPort(at); isWildcard(host) { // it is told as the link is
		told, _, _ := net.SplitHostPort(l.self.Address)
		_, port, _ := net.SplitHostPort(at)
		c.Advertise = net.JoinHostPort(told, port)
	}
	m, err := member.Start(c)
	if err != nil && !chosen && isTaken(err) {
		// Another broker of this host has it. Others are told the port.
		host, _, _ := net.SplitHostPort(at)
		c.Bind = net.JoinHostPort(host, "0")
		m, err = member.Start(c)
	}
	if err != nil {
		return fmt.Errorf("%w: choose another address with --gossip HOST:PORT, or none", err)
	}
	l.members.Store(m)
	s := *l.stands.Load()
	s.Gossip = m.Address()
	l.stands.Store(&s)
	return nil
}

// isTaken says whether an error is about an address in use: memberlist keeps no
// chain of its errors.
func isTaken(err error) bool { return strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) }

// knownGossip asks the peers where their gossip is.
func (l *linked) knownGossip(ctx context.Context) []string {
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var mu sync.Mutex
	var all []string
	var running sync.WaitGroup
	for _, a := range l.peers.all() {
		running.Go(func() {
			got, err := l.question(soon, a, question{Ask: askStanding})
			if err != nil || got.Standing.Gossip == "" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, got.Standing.Gossip)
		})
	}
	running.Wait()
	return all
}

// lookAround takes from the gossip where peers are.
func (l *linked) lookAround() {
	m := l.members.Load()
	if m == nil {
		return
	}
	for _, one := range m.Members() {
		if one.Status == member.Alive && one.Disk != (codec.UUID{}) {
			_ = l.peers.met(one.Node, one.Disk, one.Link) // of one that was removed nothing is noted, and it hears so when it asks
		}
	}
}

// leaveGossip says goodbye, which takes about a second.
func (l *linked) leaveGossip() {
	m := l.members.Load()
	if m == nil {
		return
	}
	if err := m.Leave(); err != nil {
		l.log("the gossip was not told of the stop", "error", err)
	}
	m.Close()
}
