package chaos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Cluster is brokers n1, n2 and so on that were started with the same flags and
// found a cluster together: each on a host of its own, or all on the loopback.
type Cluster struct {
	Brokers []*Broker
	Lan     *Lan        // nil: the loopback
	tls     *tls.Config // of clients; nil: none
}

// Clients is the host from which clients come.
const Clients = "clients"

// Ports of a broker that has a host of its own.
const clientPort, linkPort, gossipPort = "9650", "9651", "9652"

// NodeNames are those of n brokers.
func NodeNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	return names
}

// NewCluster is n brokers with data below dir. Nothing runs yet.
func NewCluster(ctx context.Context, binary, dir string, n int, lan *Lan) (*Cluster, error) {
	c := &Cluster{Lan: lan}
	var links, gossip []string
	for _, name := range NodeNames(n) {
		b := &Broker{Binary: binary, Node: name, Dir: filepath.Join(dir, name)}
		var at [3]string
		for i, port := range []string{clientPort, linkPort, gossipPort} {
			var err error
			if lan == nil {
				at[i], err = freeAddress()
			} else {
				b.Host = lan.Host(name)
				at[i] = net.JoinHostPort(b.Host.Address.String(), port)
			}
			if err != nil {
				return nil, err
			}
		}
		b.Address = at[0]
		c.Brokers, links, gossip = append(c.Brokers, b), append(links, at[1]), append(gossip, at[2])
	}
	for i, b := range c.Brokers {
		b.Args = []string{"--advertise", b.Address, "--link", links[i], "--gossip", gossip[i], "--join", strings.Join(links, ",")}
	}
	if lan != nil {
		return c, c.certify(ctx, filepath.Join(dir, "certs"))
	}
	return c, nil
}

// certify gives each broker a certificate of an authority of their own, and all the
// key of their gossip.
func (c *Cluster) certify(ctx context.Context, dir string) error {
	run := func(args ...string) (string, error) {
		out, log, exit, err := c.Brokers[0].Run(ctx, args...)
		if err == nil && exit != 0 {
			err = fmt.Errorf("troupe %s ended with %d: %s%s", strings.Join(args, " "), exit, out, log)
		}
		return out, err
	}
	if _, err := run("certs", "init", "--dir", dir); err != nil {
		return err
	}
	key, err := run("keygen")
	if err != nil {
		return err
	}
	gossip := filepath.Join(dir, "gossip.key")
	if err := os.WriteFile(gossip, []byte(key), 0o600); err != nil {
		return err
	}
	for _, b := range c.Brokers {
		if _, err := run("certs", "node", b.Node, "--dir", dir, "--host", b.Host.Address.String()); err != nil {
			return err
		}
		b.Args = append(b.Args, "--gossip-key", gossip, "--tls-ca", filepath.Join(dir, "ca.crt"),
			"--tls-cert", filepath.Join(dir, "broker-"+b.Node+".crt"), "--tls-key", filepath.Join(dir, "broker-"+b.Node+".key"))
	}
	if _, err := run("certs", "client", Clients, "--dir", dir); err != nil {
		return err
	}
	c.tls, err = clientTLS(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "client-"+Clients+".crt"), filepath.Join(dir, "client-"+Clients+".key"))
	return err
}

// clientTLS is what a program that knows nothing of Troupe's names would make of its
// files.
func clientTLS(ca, cert, key string) (*tls.Config, error) {
	p, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	mine, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{mine}}
	if !t.RootCAs.AppendCertsFromPEM(p) {
		return nil, fmt.Errorf("%s has no certificates", ca)
	}
	return t, nil
}

// Start starts all at once, and waits until each is ready.
func (c *Cluster) Start(ctx context.Context) error {
	for _, b := range c.Brokers {
		if err := b.Begin(); err != nil {
			return err
		}
	}
	var errs []error
	for _, b := range c.Brokers {
		if err := b.Await(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", b.Node, err))
		}
	}
	return errors.Join(errs...)
}

// Kill leaves no process.
func (c *Cluster) Kill() error {
	var errs []error
	for _, b := range c.Brokers {
		errs = append(errs, b.Kill())
	}
	return errors.Join(errs...)
}

// servers are all brokers, as clients reach them.
func (c *Cluster) servers() servers {
	s := servers{tls: c.tls}
	for _, b := range c.Brokers {
		s.addresses = append(s.addresses, b.Address)
	}
	if c.Lan != nil {
		s.dial = func(ctx context.Context, address string) (net.Conn, error) {
			return c.Lan.Host(Clients).Dial(ctx, "tcp", address)
		}
	}
	return s
}

// Node is the broker of a name.
func (c *Cluster) Node(name string) *Broker {
	for _, b := range c.Brokers {
		if b.Node == name {
			return b
		}
	}
	return nil
}
