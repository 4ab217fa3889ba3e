package chaos

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/troupe-mq/troupe/gateway/client"
)

// servers is where clients find brokers, and from where they dial.
type servers struct {
	addresses []string
	dial      func(ctx context.Context, address string) (net.Conn, error) // nil: from here
	tls       *tls.Config                                                 // nil: none
}

// at is one server on this machine.
func at(address string) servers { return servers{addresses: []string{address}} }

// client is a new one with connections of its own.
func (s servers) client(ctx context.Context, name string) (*client.Client, error) {
	return client.Dial(ctx, s.addresses, client.Options{Name: name, Dial: s.dial, TLS: s.tls})
}
