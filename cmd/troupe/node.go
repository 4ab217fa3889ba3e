package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
	"github.com/troupe-mq/troupe/gateway/session"
)

// node is a running broker with its doors.
type node struct {
	broker   *actors.Broker
	linked   *linked // nil for a broker alone
	gateway  *gateway.Server
	http     *health
	identity gateway.Identity
	listen   net.Addr
	limits   session.Limits
	metrics  *metrics
	failed   chan error // why the broker cannot go on, at most once
}

// startNode opens the health page, the link, the broker and the gateway, in this
// order, so that /readyz can say why a broker is not ready yet.
func startNode(ctx context.Context, cfg serveConfig, log *logrus.Logger) (_ *node, err error) {
	n := &node{limits: cfg.limits(), failed: make(chan error, 1)}
	counts := newLogCounts()
	log.AddHook(counts)
	told := newSlog(log, counts)
	n.metrics = newMetrics(time.Now(), cfg.MetricsPartitions, counts)
	defer func() {
		if err != nil {
			err = errors.Join(err, n.stop())
		}
	}()
	if cfg.HTTP != "" {
		if n.http, err = startHealth(cfg.HTTP, n.metrics.handler(), cfg.Pprof, slog.NewLogLogger(told.Handler(), slog.LevelWarn)); err != nil {
			return nil, taken(err, "http", ", or --http= for none")
		}
	}
	if err := n.startBroker(ctx, &cfg, told); err != nil {
		return nil, err
	}
	cluster, name := n.broker.Identity()
	n.identity = gateway.Identity{Cluster: cluster, Node: name, Version: version, Address: cfg.Advertise}
	var creds *trust.Credentials
	if n.linked != nil {
		creds = n.linked.tls
	}
	security, err := cfg.security(name, creds, told.Info)
	if err != nil {
		return nil, err
	}
	n.gateway = gateway.New(door{n.broker, n.identity}, gateway.Options{Limits: n.limits, Log: told.Info, Cluster: view{n.broker, n.linked}, Security: security})
	if n.listen, err = n.gateway.Listen(cfg.Listen); err != nil {
		return nil, taken(err, "listen", "")
	}
	n.metrics.node.Store(n)
	if n.http != nil {
		n.http.serve(n.broker.Ready)
	}
	return n, nil
}

// startBroker starts the broker, alone or with what others see of it.
func (n *node) startBroker(ctx context.Context, cfg *serveConfig, told *slog.Logger) (err error) {
	c := actors.Config{
		Dir: cfg.Data, Node: codec.NodeID(cfg.Node), Address: cfg.clientAddress(), InFlightBytes: int64(cfg.CreditBytes),
		Failed: func(err error) { n.failed <- err }, Log: told,
	}
	if !cfg.wantsLink() {
		if err := cfg.mayBeAlone(); err != nil {
			return err
		}
		n.broker, err = actors.Start(ctx, c)
		return err
	}
	l, err := openLink(cfg, told.Info)
	if err != nil {
		return err
	}
	n.linked = l
	if n.http != nil {
		n.http.serve(l.waiting)
	}
	as, err := l.begin(ctx)
	if err != nil {
		return err
	}
	starting, started := context.WithCancel(ctx)
	defer started()
	l.during(func() { l.untilReady(starting) })
	c.Node, c.Disk, c.Link, c.Rack, c.Founding, c.Joining = l.self.Node, l.self.Disk, l.self.Address, cfg.Rack, as.founding, as.joining
	c.Changed, c.Launched, c.Ports.Link = l.peers.changed, func(b *actors.Broker) { l.broker.Store(b) }, l.link
	if n.broker, err = actors.Start(ctx, c); err != nil {
		return err
	}
	l.peers.readyWhen(func() bool { return n.broker.Ready() == nil })
	cluster, _ := n.broker.Identity()
	if err := l.belong(cluster); err != nil {
		return err
	}
	l.during(func() { l.whileLonely(l.ctx) })
	return l.startGossip()
}

// mayBeAlone refuses to found a cluster of one in a directory that keeps the record of
// another: the rest of that may have begun it.
func (c *serveConfig) mayBeAlone() error {
	if owner, err := actors.OwnerOf(osFS, c.Data); err != nil || owner != nil {
		return nil // it goes on with what it has, or says what is wrong with it
	}
	r, err := readBefore[record](osFS, filepath.Join(c.Data, recordName))
	if err == nil && r != nil {
		err = fmt.Errorf("data directory %s keeps the record of a cluster to be, %s, of %v: start it with the same --join as before", c.Data, r.Cluster, r.nodes())
	}
	return err
}

// clientAddress is where clients reach this broker, as far as it is known before it
// listens.
func (c *serveConfig) clientAddress() string {
	if c.Advertise != "" {
		return c.Advertise
	}
	if host, port, err := net.SplitHostPort(c.Listen); err != nil || port == "0" || isWildcard(host) {
		return ""
	}
	return c.Listen
}

// stop closes what was opened, the doors first. It takes 9 seconds at most.
func (n *node) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var errs []error
	if n.http != nil {
		n.http.drain()
	}
	if n.broker != nil {
		n.handOver(ctx)
	}
	if n.linked != nil && n.linked.link != nil {
		n.linked.link.LeaveServices()
	}
	if n.gateway != nil {
		// A third of the time is for clients to get their answers.
		half, done := context.WithTimeout(ctx, stopWithin/3)
		if err := n.gateway.Close(half); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
		done()
	}
	if n.broker != nil {
		errs = append(errs, n.broker.Close(ctx))
	}
	if n.linked != nil {
		n.linked.close()
	}
	if n.http != nil {
		errs = append(errs, n.http.close(ctx))
	}
	return errors.Join(errs...)
}

// handOver lets others lead what was led here, while clients are still answered: they
// are told where to go.
func (n *node) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin/3)
	defer cancel()
	done := make(chan struct{})
	n.broker.HandOver(func() { close(done) })
	select {
	case <-done:
	case <-ctx.Done():
	}
}
