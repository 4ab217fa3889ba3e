package service

import (
	"context"
	"net"

	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// Config of an Attachment. Brokers and Name are needed.
type Config struct {
	// Brokers are addresses of brokers' links, HOST:PORT. One is enough to be attached;
	// with several, another takes over when one is lost.
	Brokers []string
	// Name is who the program is. With TLS it may be left out: it is the certificate's.
	Name string
	// TLS is what the program shows, made by troupe certs client NAME --service, and whom
	// it believes (trust.Load). nil speaks no TLS, which brokers take on loopback.
	TLS *trust.Credentials
	// Dial opens a connection; nil opens one by TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// HeldBytes and HeldMessages bound what waits for the window, 32 MiB and 8,192 by
	// default; one message alone may be larger. Beyond them the answer is of code Overloaded.
	HeldBytes, HeldMessages int
	// Log is told of lines, with keys and values in turn; nil = silence.
	Log func(event string, fields ...any)
}

func (c Config) withDefaults() Config {
	if c.HeldBytes == 0 {
		c.HeldBytes = 32 << 20
	}
	if c.HeldMessages == 0 {
		c.HeldMessages = 8192
	}
	if c.Name == "" && c.TLS != nil {
		c.Name = c.TLS.Identity().Name
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c
}

// check says what is wrong with it.
func (c Config) check() error {
	if len(c.Brokers) == 0 {
		return codec.Errorf(codec.InvalidArgument, "no broker is given: say where the link of one is, HOST:9651")
	}
	who := codec.Identity{Role: codec.RoleService, Name: c.Name}
	if err := who.Check(); err != nil {
		return codec.Errorf(codec.InvalidArgument, "%v", err)
	}
	if c.TLS != nil && c.TLS.Identity() != who {
		return codec.Errorf(codec.InvalidArgument, "the certificate is that of %s, and this is %s: make one with troupe certs client %s --service", c.TLS.Identity(), who, c.Name)
	}
	return nil
}

func (c *Config) caller(life uint64, cluster codec.UUID) link.Caller {
	return link.Caller{Name: c.Name, Cluster: cluster, Life: life, Dial: c.Dial, TLS: c.TLS}
}
