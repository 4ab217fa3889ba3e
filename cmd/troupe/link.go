package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/cluster/member"
	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// linked is the side of a broker that others see: its link, who it is to them,
// and where they are.
type linked struct {
	cfg   *serveConfig
	self  link.Self
	owner *actors.Owner // of the data directory; nil when that is empty
	kept  *record       // in an empty one; nil without
	keys  prints        // of the gossip
	list  []string      // of --join
	log   func(event string, fields ...any)

	lock   io.Closer // of the data directory, until the process ends
	link   *link.Link
	tls    *trust.Credentials
	peers  *peers
	stands atomic.Pointer[standing] // what others are told
	broker atomic.Pointer[actors.Broker]
	waits  atomic.Pointer[string] // for whom, until the broker starts
	doing  sync.WaitGroup

	members atomic.Pointer[member.Members]
	ctx     context.Context // ends when close begins
	stop    context.CancelFunc
}

const linkDefault = "127.0.0.1:9651"

// wantsLink says whether others are to reach this broker.
func (c *serveConfig) wantsLink() bool { return c.Join != "" || c.Link != "" }

// openLink finds out who this broker is to others, and lets them ask.
func openLink(cfg *serveConfig, log func(event string, fields ...any)) (_ *linked, err error) {
	l := &linked{cfg: cfg, log: log, list: addressesOf(cfg.Join)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if err := wal.MakeDir(osFS, cfg.Data); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if l.lock, err = osFS.Lock(filepath.Join(cfg.Data, "link.lock")); err != nil {
		return nil, err
	}
	if err := l.whoami(); err != nil {
		return nil, err
	}
	if l.tls, err = cfg.credentials(l.self.Node, log); err != nil {
		return nil, err
	}
	if l.keys, err = cfg.gossipKeys(); err != nil {
		return nil, err
	}
	at := cfg.Link
	if at == "" {
		at = linkDefault
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return nil, taken(fmt.Errorf("listen for other brokers: %w", err), "link", "")
	}
	if l.self.Address == "" {
		l.self.Address = listener.Addr().String()
	}
	l.peers = newPeers(l.self.Node, filepath.Join(cfg.Data, peersName), log)
	l.standAsKept()
	l.link = link.New(link.Config{Self: l.self, Listener: listener, TLS: l.tls, Hear: l.hear, Lost: l.lost, Answer: l.answer, Serve: l.serve, Log: log})
	l.peers.tell(l.link.SetPeers)
	return l, nil
}

// whoami settles name, disk and address.
func (l *linked) whoami() (err error) {
	if l.owner, err = actors.OwnerOf(osFS, l.cfg.Data); err != nil {
		return err
	}
	l.self = link.Self{Node: codec.NodeID(l.cfg.Node), Address: l.cfg.advertisedLink()}
	if l.owner != nil {
		if l.cfg.Node != "" && l.self.Node != l.owner.Node {
			return fmt.Errorf("data directory %s belongs to node %q, not %q: start with that name, or with another directory", l.cfg.Data, l.owner.Node, l.cfg.Node)
		}
		l.self.Node, l.self.Disk, l.self.Cluster = l.owner.Node, l.owner.Disk, l.owner.Cluster
	} else if l.self.Disk, err = diskOf(osFS, l.cfg.Data, newUUID); err != nil {
		return err
	} else if l.kept, err = readBefore[record](osFS, filepath.Join(l.cfg.Data, recordName)); err != nil {
		return err
	}
	if l.self.Node == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("no --node was given and the host has no name: %w", err)
		}
		l.self.Node = codec.NodeID(host)
	}
	if err := (codec.Identity{Role: codec.RoleBroker, Name: string(l.self.Node)}).Check(); err != nil {
		return usagef("--node: %w", err)
	}
	return nil
}

// newUUID draws one that nobody else has.
func newUUID() (id codec.UUID) {
	_, _ = rand.Read(id[:]) // it never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// addressesOf are those of a list, each once, in order.
func addressesOf(list string) (all []string) {
	for a := range strings.SplitSeq(list, ",") {
		if a = strings.TrimSpace(a); a != "" {
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// advertisedLink is where others reach this broker; empty when that follows
// from where it listens.
func (c *serveConfig) advertisedLink() string {
	if c.AdvertiseLink != "" {
		return c.AdvertiseLink
	}
	at := c.Link
	if at == "" {
		at = linkDefault
	}
	if host, port, err := net.SplitHostPort(at); err != nil || port == "0" || isWildcard(host) {
		return ""
	}
	return at
}

func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// credentials are what the broker shows others; nil without TLS.
func (c *serveConfig) credentials(node codec.NodeID, log func(string, ...any)) (*trust.Credentials, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	t, err := trust.Load(trust.Files{Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSCA}, log)
	if err != nil {
		return nil, err
	}
	if who := t.Identity(); who.Role != codec.RoleBroker || who.Name != string(node) {
		return nil, fmt.Errorf("%s is the certificate of %s, and this is node %q: make one with troupe certs node %s, or say --node", c.TLSCert, who, node, node)
	}
	return t, nil
}

// founds says whether this broker may found a cluster with others: its own address
// is among those of --join.
func (l *linked) founds() bool { return slices.Contains(l.list, l.self.Address) }

// stand says what others are told when they ask.
func (l *linked) stand(stage string, r *record) {
	s := &standing{Stage: stage, Member: party{Node: l.self.Node, Link: l.self.Address, Disk: l.self.Disk.String()}, Record: r, Keys: l.keys}
	if l.founds() {
		s.Join = l.list
	}
	l.stands.Store(s)
}

// standAsKept says what the data directory is, before anybody can ask.
func (l *linked) standAsKept() {
	l.stand(stageEmpty, nil)
	switch {
	case l.owner != nil:
		l.standMember(l.owner.Cluster)
	case l.kept != nil:
		l.stand(stageRecorded, l.kept)
	}
}

func (l *linked) standMember(of codec.UUID) {
	s := *l.stands.Load()
	s.Stage, s.Cluster, s.Record = stageMember, of.String(), nil
	l.stands.Store(&s)
}

// belong is that this broker has a place in a cluster from now on.
func (l *linked) belong(id codec.UUID) error {
	l.self.Cluster = id
	l.standMember(id)
	return l.link.SetCluster(id)
}

func (l *linked) hear(from codec.NodeID, letter []byte) {
	if b := l.broker.Load(); b != nil {
		b.Hear(from, letter)
	}
}

// serve does what a service asks for.
func (l *linked) serve(ctx context.Context, service string, c *codec.Call, reply func(*codec.Reply)) (forget func()) {
	if b := l.broker.Load(); b != nil {
		return b.Serve(ctx, service, c, reply)
	}
	r := &codec.Reply{}
	r.Fail(codec.Errorf(codec.Unavailable, "the broker is starting"))
	reply(r)
	return nil
}

func (l *linked) lost(node codec.NodeID) {
	if b := l.broker.Load(); b != nil {
		b.Lost(node)
	}
}

// waiting is why the broker has not started, for /readyz.
func (l *linked) waiting() error {
	if w := l.waits.Load(); w != nil {
		return errors.New(*w)
	}
	return errStarting
}

// sayEvery is how often it is said for whom a broker waits.
const sayEvery = 5 * time.Second

// teller says for whom a broker waits: when that changes, but not more often than
// once a second, and every few seconds.
type teller struct {
	said string
	last time.Time
}

func (t *teller) wait(l *linked, event string, wait []string) {
	says := strings.Join(wait, "; ")
	for_ := event + ": " + says
	l.waits.Store(&for_)
	since := time.Since(t.last)
	if says == t.said && since < sayEvery || since < time.Second {
		return
	}
	t.said, t.last = says, time.Now()
	l.log(event, "for", says)
}

// during runs do until it ends, which close waits for.
func (l *linked) during(do func()) { l.doing.Go(do) }

// close ends the link, with a goodbye.
func (l *linked) close() {
	l.stop()
	l.doing.Wait()
	l.leaveGossip()
	if l.link != nil {
		l.link.Close()
	}
	if l.peers != nil {
		l.peers.close()
	}
	if l.lock != nil {
		_ = l.lock.Close() // nothing was written to it
	}
}

// pauseFor waits for d, or until ctx ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
