package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
	"github.com/troupe-mq/troupe/gateway/session"
)

// stopWithin bounds a clean stop.
const stopWithin = 9 * time.Second

func newServe(s streams) *cobra.Command {
	var cfg serveConfig
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a broker",
		Long: `Run a broker on a data directory. One line is printed when it is ready;
SIGTERM and SIGINT stop it cleanly.

Each flag may also be set by the environment variable that stands behind it, or
by a key of the YAML file given with --config (docs/troupe.yaml has them all). A
flag wins over its variable, that over the file, that over the default. Sizes
are bytes, or 64KiB, 256MiB, 1GiB; times are 500ms, 30s, 5m. What is set for
each topic (durability, retention, sizes) is in: troupe topic create --help`,
		Example: "  troupe serve --data /var/lib/troupe --node n1\n  troupe serve --config /etc/troupe.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cfg.load(c, file); err != nil {
				return err
			}
			return serve(c.Context(), s, cfg)
		},
	}
	c.Flags().StringVar(&file, "config", "", "YAML file with settings named like the flags; docs/troupe.yaml is a sample")
	cfg.flags(c.Flags())
	c.Flags().SortFlags = false
	complete(c, "data", directories)
	complete(c, "log-level", words("error", "warn", "info", "debug", "trace"))
	complete(c, "log-format", words("text", "json"))
	return c
}

// serve runs a broker until ctx ends.
func serve(ctx context.Context, s streams, cfg serveConfig) error {
	begun := time.Now()
	if cfg.Data == "" {
		return usagef("--data is empty: give the data directory")
	}
	if err := cfg.bounds(); err != nil {
		return err
	}
	if err := cfg.checkAddress("listen", cfg.Listen); err != nil {
		return err
	}
	if cfg.HTTP != "" {
		if err := cfg.checkAddress("http", cfg.HTTP); err != nil {
			return err
		}
	}
	log, err := newLog(s.err, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return err
	}
	relaxGC()
	n, err := startNode(ctx, cfg, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "ready node=%s listen=%s cluster=%s topics=%d in %s\n",
		n.identity.Node, n.listen, n.identity.Cluster, len(n.broker.Topics()), time.Since(begun).Round(time.Millisecond))
	select {
	case <-ctx.Done():
		log.Info("stopping")
		return n.stop()
	case err := <-n.failed: // its logs are closed, and whoever watches over this process starts it again
		return errors.Join(err, n.stop())
	}
}

// node is a running broker with its doors.
type node struct {
	broker   *actors.Broker
	gateway  *gateway.Server
	http     *health
	identity gateway.Identity
	listen   net.Addr
	limits   session.Limits
	metrics  *metrics
	failed   chan error // why the broker cannot go on, at most once
}

// startNode opens the health page, the broker and the gateway, in this order,
// so that /readyz can say why a broker is not ready yet.
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
	if n.broker, err = actors.Start(ctx, actors.Config{Dir: cfg.Data, Node: codec.NodeID(cfg.Node), InFlightBytes: int64(cfg.CreditBytes), Failed: func(err error) { n.failed <- err }, Log: told}); err != nil {
		return nil, err
	}
	cluster, name := n.broker.Identity()
	n.identity = gateway.Identity{Cluster: cluster, Node: name, Version: version, Address: cfg.Advertise}
	n.gateway = gateway.New(door{n.broker, n.identity}, gateway.Options{Limits: n.limits, Log: told.Info})
	if n.listen, err = n.gateway.Listen(cfg.Listen); err != nil {
		return nil, taken(err, "listen", "")
	}
	n.metrics.node.Store(n)
	if n.http != nil {
		n.http.serve(n.broker.Ready)
	}
	return n, nil
}

// taken adds what a person can do about an address that cannot be listened on.
func taken(err error, flag, or string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: does a broker run there already? Choose another with --%s HOST:PORT%s", err, flag, or)
	}
	return err
}

// limits are those at the door.
func (c *serveConfig) limits() session.Limits {
	l := session.Limits{
		Connections: c.ConnectionsMax, AddressConns: c.AddressConnectionsMax,
		BytesInFlightAll: int(c.RequestBytes), AnswerBytes: int(c.AnswerBytes), Idle: c.Idle,
	}
	if l.Connections == 0 {
		l.Connections = connectionsMax()
	}
	return l
}

// connectionsMax leaves half of the process's file descriptors to logs: a
// client that only connects must not be able to take them.
func connectionsMax() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return connectionsDefault
	}
	return int(min(connectionsDefault, max(16, r.Cur/2)))
}

// connectionsDefault is how many clients may be connected when the limit of
// the process allows it.
const connectionsDefault = 4096

// stop closes what was opened, the doors first. It takes 9 seconds at most.
func (n *node) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var errs []error
	if n.http != nil {
		n.http.drain()
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
	if n.http != nil {
		errs = append(errs, n.http.close(ctx))
	}
	return errors.Join(errs...)
}
