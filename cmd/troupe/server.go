package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// remote is where a command finds a broker.
type remote struct{ servers, tlsCA, tlsCert, tlsKey, tokenFile string }

const serverDefault = "127.0.0.1:9650"

// flag adds --server, which every command that talks to a broker has.
func (r *remote) flag(c *cobra.Command) {
	c.Flags().StringVar(&r.servers, "server", serverDefault, "broker to talk to; several, with commas between them, for failover (environment: TROUPE_SERVER)")
	c.Flags().StringVar(&r.tlsCA, "tls-ca", "", "speak TLS, with brokers of this authority: a file, PEM (environment: TROUPE_TLS_CA)")
	c.Flags().StringVar(&r.tlsCert, "tls-cert", "", "certificate that says who you are, see troupe certs client (environment: TROUPE_TLS_CERT)")
	c.Flags().StringVar(&r.tlsKey, "tls-key", "", "its private key (environment: TROUPE_TLS_KEY)")
	c.Flags().StringVar(&r.tokenFile, "token-file", "", "file with a token that says who you are (environment: TROUPE_TOKEN_FILE)")
}

// addresses are those of the flag, else of the environment, else the default.
func (r *remote) addresses(c *cobra.Command) ([]string, error) {
	said, source := r.servers, "--server"
	if env := os.Getenv("TROUPE_SERVER"); env != "" && !c.Flags().Changed("server") {
		said, source = env, "TROUPE_SERVER"
	}
	all := strings.Split(said, ",")
	for i, a := range all {
		all[i] = strings.TrimSpace(a)
		if _, port, err := net.SplitHostPort(all[i]); err != nil || port == "" {
			return nil, usagef("%s %q: want HOST:PORT, such as %s, or several with commas between them", source, said, serverDefault)
		}
	}
	return all, nil
}

// with runs do with a client, and explains its error.
func (r *remote) with(c *cobra.Command, do func(context.Context, *client.Client) error) error {
	to, err := r.reach(c)
	if err != nil {
		return err
	}
	cl, err := to.dial(c.Context())
	if err != nil {
		return err
	}
	defer cl.Close()
	return explain(c.Context(), cl, topicOf(c), do(c.Context(), cl))
}

// topicOf is the topic that a command line names, if it names one.
func topicOf(c *cobra.Command) string {
	if f := c.Flags().Lookup("topic"); f != nil {
		return f.Value.String()
	}
	return c.Flags().Arg(0)
}

// dial connects to the first of servers that answers.
func dial(ctx context.Context, servers []string, o client.Options) (*client.Client, error) {
	var reached atomic.Bool // some server took the connection
	var refused atomic.Int64
	o.Name, o.Version = "troupe", version
	o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		switch {
		case err == nil:
			reached.Store(true)
		case errors.Is(err, syscall.ECONNREFUSED):
			refused.Add(1)
		}
		return conn, err
	}
	c, err := client.Dial(ctx, servers, o)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !reached.Load() && refused.Load() == int64(len(servers)):
		return nil, fmt.Errorf("no broker answers at %s: is one running? start one with: troupe serve --data DIR", strings.Join(servers, ", "))
	}
	return nil, fmt.Errorf("no broker answers at %s: %w", strings.Join(servers, ", "), err)
}

// hints say what to do about an answer of the broker, where it does not say
// so itself.
var hints = map[codec.Code]string{
	codec.UnknownTopic: "troupe topic list shows those there are, troupe topic create makes one",
	codec.TopicExists:  "troupe topic describe shows it, troupe topic alter changes it",
	codec.Unknown:      "it may or may not have been carried out: look before doing it again",
	codec.Unavailable:  "troupe cluster status says what is wrong",
	codec.Stopping:     "wait until the broker is back",
	codec.DiskFull:     "make room: trim a topic, lower its retention or grow the disk",
	codec.DiskFailed:   "the broker's log says more; replace the disk, or restart the broker once the cause is known",
	codec.CorruptLog:   "the other partitions go on; troupe log verify DIR says where the damage is",
	codec.Internal:     "this is a bug; the broker's log says more",
}

// explain adds what a person can do to what a broker says.
func explain(ctx context.Context, cl *client.Client, topic string, err error) error {
	var e *codec.Error
	if !errors.As(err, &e) || hints[e.Code] == "" {
		return err
	}
	if e.Code == codec.UnknownTopic && topic != "" {
		soon, cancel := context.WithTimeout(ctx, completeWithin)
		defer cancel()
		if near := similar(topic, topicNames(soon, cl)); len(near) > 0 {
			return fmt.Errorf("%w: did you mean %s? %s", err, orList(near), hints[e.Code])
		}
	}
	return fmt.Errorf("%w: %s", err, hints[e.Code])
}
