package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/troupe-mq/troupe/codec"
)

// alpn is the protocol's name in TLS.
const alpn = "troupe/1"

// dialSecure opens a connection, and TLS on it when it is to be spoken.
func dialSecure(ctx context.Context, address string, o Options) (net.Conn, error) {
	raw, err := o.Dial(ctx, address)
	if err != nil {
		return nil, codec.Errorf(codec.Unavailable, "connect to %s: %v", address, err)
	}
	if o.TLS == nil {
		return raw, nil
	}
	cfg := o.TLS.Clone()
	if len(cfg.NextProtos) == 0 {
		cfg.NextProtos = []string{alpn}
	}
	if host, _, err := net.SplitHostPort(address); err == nil && cfg.ServerName == "" {
		cfg.ServerName = host
	}
	t := tls.Client(raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, notSecure(address, err)
	}
	return t, nil
}

// notSecure explains a handshake that failed. That the other side is not who it
// should be does not pass by itself; that it ended the connection may.
func notSecure(address string, err error) error {
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain):
		return codec.Errorf(codec.AuthFailed, "connect to %s: it does not speak TLS", address)
	case isNetwork(err):
		return codec.Errorf(codec.Unavailable, "connect to %s: TLS: %v", address, err)
	}
	return codec.Errorf(codec.AuthFailed, "connect to %s: TLS: %v", address, err)
}

// isNetwork says that the connection was the trouble, and not who is there.
func isNetwork(err error) bool {
	var alert tls.AlertError
	var op *net.OpError
	return !errors.As(err, &alert) && (errors.As(err, &op) && op.Op != "remote error" || errors.Is(err, net.ErrClosed) || err.Error() == "EOF" || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled))
}

// notGreeted is why HELLO was not answered. With TLS 1.3 a server that does not
// believe the certificate says so only then.
func notGreeted(address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return codec.Errorf(codec.AuthFailed, "greet %s: it refuses the certificate: %v", address, err)
	}
	return codec.Errorf(codec.Unavailable, "greet %s: %v: is it a broker? Does it speak TLS?", address, err)
}

// together is how frames are written: in one writev, or gathered for TLS, which
// would make a record of each.
func (l *link) together() func(*net.Buffers) error {
	if _, ok := l.net.(*tls.Conn); !ok {
		return func(b *net.Buffers) error {
			_, err := b.WriteTo(l.net)
			return err
		}
	}
	w := bufio.NewWriterSize(l.net, 16<<10)
	return func(b *net.Buffers) error {
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
		return w.Flush()
	}
}
