package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

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
	if err := cfg.checkLink(); err != nil {
		return err
	}
	log, err := newLog(s.err, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return err
	}
	relaxGC()
	n, err := startNode(ctx, cfg, log)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		log.Info("stopped before it was ready")
		return nil
	}
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
