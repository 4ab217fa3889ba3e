package gateway

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"

	"github.com/troupe-mq/troupe/codec"
)

// ALPN is the protocol's name in TLS.
const ALPN = "troupe/1"

// Security is what clients have to show. The zero value speaks no TLS and lets in
// everybody, which is for loopback.
type Security struct {
	// TLS is what listeners speak; nil speaks none.
	TLS *tls.Config
	// Shown is who the certificate of a client speaks for; nil, and an error of it,
	// is nobody. The handshake has verified it.
	Shown func(tls.ConnectionState) (codec.Identity, error)
	// Token is who a token of HELLO speaks for; nil takes none.
	Token func(token string) (codec.Identity, bool)
}

// asks says whether a client has to show who it is.
func (s *Security) asks() bool { return s.TLS != nil || s.Token != nil }

// togetherBytes are gathered before TLS makes records of them.
const togetherBytes = 16 << 10

// secure puts TLS onto a new connection, if it is to speak it.
func (c *conn) secure() {
	if c.server.security.TLS != nil {
		c.net = tls.Server(c.raw, c.server.security.TLS)
	}
}

// greetTLS is the handshake, under the deadline of the first bytes. A client that
// does not speak TLS is told so as it would be told anything.
func (c *conn) greetTLS() error {
	t, ok := c.net.(*tls.Conn)
	if !ok {
		return nil
	}
	err := t.HandshakeContext(c.ctx)
	var plain tls.RecordHeaderError
	switch {
	case err == nil:
		c.mu.Lock()
		c.together = bufio.NewWriterSize(t, togetherBytes)
		c.mu.Unlock()
	case errors.As(err, &plain) && plain.Conn != nil:
		told := codec.Errorf(codec.AuthFailed, "this door speaks TLS: the client has to speak it too")
		_, _ = c.raw.Write(codec.EncodeError(nil, codec.ConnectionID, told).Bytes()) // a courtesy
		return told
	default:
		c.server.log("connection closed", "remote", c.raw.RemoteAddr().String(), "reason", "the TLS handshake failed", "error", err)
	}
	return err
}

// authenticate is who a client is, by its certificate or the token of its HELLO. A
// token that is wrong is not made good by a certificate.
func (c *conn) authenticate(token string) (who codec.Identity, err error) {
	s := &c.server.security
	if !s.asks() {
		return who, nil
	}
	if token != "" {
		if s.Token == nil {
			return who, codec.Errorf(codec.AuthFailed, "this broker takes no tokens: show a certificate")
		}
		byToken, ok := s.Token(token)
		if !ok {
			return who, codec.Errorf(codec.AuthFailed, "the token is not known here")
		}
		return byToken, nil
	}
	if t, ok := c.net.(*tls.Conn); ok && s.Shown != nil {
		if who, err = s.Shown(t.ConnectionState()); err == nil {
			return who, nil
		}
	}
	want := "a token in HELLO"
	switch {
	case s.Token == nil:
		want = "a certificate of the cluster's authority"
	case s.TLS != nil:
		want = "a certificate of the cluster's authority, or a token in HELLO"
	}
	return who, codec.Errorf(codec.AuthFailed, "the client has to show who it is: by %s", want)
}

// writeAll writes frames: in one writev, or gathered for TLS, which would make a
// record of each.
func (c *conn) writeAll(frames *net.Buffers) error {
	if c.together == nil {
		_, err := frames.WriteTo(c.net)
		return err
	}
	if _, err := frames.WriteTo(c.together); err != nil {
		return err
	}
	return c.together.Flush()
}
