package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Server is what a listener of protocol (the name in ALPN) wants: TLS 1.3, and
// certificates of clients held against the authorities. One that shows none
// comes through the handshake, so that it can be told why it must go:
// whoever uses this calls Shown and refuses it.
func (c *Credentials) Server(protocol string) *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS13}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := c.current()
		return &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{protocol},
			Certificates: []tls.Certificate{now.cert},
			ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: now.pool,
			// A resumed session would be judged by what was believed before.
			SessionTicketsDisabled: true,
		}, nil
	}
	return base
}

// Client is what one dialling wants. Who answers must have a certificate of
// one of the authorities that names a broker; accept is asked about it, and
// may be nil. What host it was dialled by plays no part, its name does.
func (c *Credentials) Client(protocol string, accept func(codec.Identity) error) *tls.Config {
	now := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &now.cert, nil },
		// The verification is all in VerifyConnection, for it goes by names of
		// ours and not by hosts.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("it shows no certificate")
			}
			if err := verify(s.PeerCertificates, now.pool, x509.ExtKeyUsageServerAuth); err != nil {
				return fmt.Errorf("its certificate: %w", err)
			}
			who, err := identityOf(s.PeerCertificates[0])
			switch {
			case err != nil:
				return err
			case who.Role != codec.RoleBroker:
				return fmt.Errorf("its certificate names %s, which is no broker", who)
			case s.NegotiatedProtocol != protocol:
				return fmt.Errorf("it does not speak %s", protocol)
			case accept != nil:
				return accept(who)
			}
			return nil
		},
	}
}

// ErrNoCertificate says that a client showed none.
var ErrNoCertificate = errors.New("no certificate was shown")

// Shown is who the other side of a Server's connection has shown that it is,
// by a certificate which the handshake has verified; ErrNoCertificate when it
// showed none.
func Shown(s tls.ConnectionState) (codec.Identity, error) {
	if len(s.VerifiedChains) == 0 || len(s.PeerCertificates) == 0 {
		return codec.Identity{}, ErrNoCertificate
	}
	return identityOf(s.PeerCertificates[0])
}
