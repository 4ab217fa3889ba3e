package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// office makes certificates of one authority.
type office struct {
	t   *testing.T
	dir string
	ca  trust.Pair
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, dir: t.TempDir()}
	var err error
	o.ca, err = trust.NewAuthority(time.Now(), time.Hour)
	require.NoError(t, err)
	require.NoError(t, trust.Write(o.ca, filepath.Join(o.dir, "ca.crt"), filepath.Join(o.dir, "ca.key"), false))
	return o
}

// credentials are those of an identity; of none for the zero one.
func (o *office) credentials(who codec.Identity) *trust.Credentials {
	files := trust.Files{CA: filepath.Join(o.dir, "ca.crt")}
	if who != (codec.Identity{}) {
		p, err := trust.Issue(o.ca, trust.Order{Identity: who, Hosts: []string{"127.0.0.1"}, Holds: time.Minute}, time.Now())
		require.NoError(o.t, err)
		files.Cert, files.Key = trust.FilesOf(o.dir, who)
		require.NoError(o.t, trust.Write(p, files.Cert, files.Key, true))
	}
	c, err := trust.Load(files, nil)
	require.NoError(o.t, err)
	return c
}

// serveSecure is a door that asks who a client is.
func serveSecure(t *testing.T, m gateway.Broker, s gateway.Security) string {
	g := gateway.New(m, gateway.Options{Security: s})
	at, err := g.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = g.Close(ctx)
	})
	return at.String()
}

func tokens(of map[string]codec.Identity) func(string) (codec.Identity, bool) {
	return func(token string) (codec.Identity, bool) {
		who, ok := of[token]
		return who, ok
	}
}

// Who may come in, and what the others are told.
func TestWhoIsLetIn(t *testing.T) {
	mine, other := newOffice(t), newOffice(t)
	broker, ann := codec.Identity{Role: codec.RoleBroker, Name: "n1"}, codec.Identity{Role: codec.RoleClient, Name: "ann"}
	server := mine.credentials(broker).Server(gateway.ALPN)
	known := tokens(map[string]codec.Identity{"good": ann})
	both := gateway.Security{TLS: server, Shown: trust.Shown, Token: known}
	certs := gateway.Security{TLS: server, Shown: trust.Shown}
	byToken := gateway.Security{Token: known}
	shows := mine.credentials(ann).Client(gateway.ALPN, nil)
	nothing := mine.credentials(codec.Identity{}).Client(gateway.ALPN, nil)
	for name, c := range map[string]struct {
		door gateway.Security
		with Options
		says string // empty: it is let in
	}{
		"a certificate":                      {both, Options{TLS: shows}, ""},
		"a token":                            {both, Options{TLS: nothing, Token: "good"}, ""},
		"both":                               {both, Options{TLS: shows, Token: "good"}, ""},
		"a certificate where it must be one": {certs, Options{TLS: shows}, ""},
		"a token without TLS":                {byToken, Options{Token: "good"}, ""},
		"by the name of its host":            {both, Options{TLS: &tls.Config{RootCAs: poolOf(t, mine)}, Token: "good"}, ""},

		"nothing":                       {both, Options{TLS: nothing}, "AUTH_FAILED: the client has to show who it is: by a certificate of the cluster's authority, or a token in HELLO"},
		"nothing, where it must be one": {certs, Options{TLS: nothing}, "AUTH_FAILED: the client has to show who it is: by a certificate"},
		"nothing without TLS":           {byToken, Options{}, "AUTH_FAILED: the client has to show who it is: by a token in HELLO"},
		"a wrong token":                 {both, Options{TLS: shows, Token: "bad"}, "AUTH_FAILED: the token is not known here"},
		"a token where there are none":  {certs, Options{TLS: shows, Token: "good"}, "AUTH_FAILED: this broker takes no tokens"},
		"a certificate of others":       {both, Options{TLS: withoutChecks(other.credentials(ann).Client(gateway.ALPN, nil))}, "AUTH_FAILED: "},
		"a door of others":              {both, Options{TLS: other.credentials(ann).Client(gateway.ALPN, nil)}, "AUTH_FAILED: connect to "},
		"another protocol":              {both, Options{TLS: mine.credentials(ann).Client("troupe-link/1", nil)}, "AUTH_FAILED: connect to "},
		"no TLS":                        {both, Options{}, "AUTH_FAILED: this door speaks TLS"},
		"TLS where there is none":       {byToken, Options{TLS: shows}, "AUTH_FAILED: connect to "},
		"a host that it is not":         {both, Options{TLS: &tls.Config{RootCAs: poolOf(t, mine), ServerName: "example.com"}, Token: "good"}, "AUTH_FAILED: connect to "},
	} {
		t.Run(name, func(t *testing.T) {
			at := serveSecure(t, newMemory("t", 1), c.door)
			got, err := Dial(t.Context(), []string{at}, c.with)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			defer got.Close()
			require.NoError(t, got.Ping(t.Context()))
		})
	}
}

// poolOf is what a program that knows nothing of Troupe's names believes.
func poolOf(t *testing.T, o *office) *x509.CertPool {
	p := x509.NewCertPool()
	require.True(t, p.AppendCertsFromPEM(o.ca.Cert))
	return p
}

// withoutChecks believes whoever answers, so that the server is the one to refuse.
func withoutChecks(c *tls.Config) *tls.Config {
	c.VerifyConnection = nil
	return c
}

// A stranger that connects to a door of TLS and says nothing, or half of a
// handshake, goes when its time is over: Close is not held up by it either.
func TestHalfAHandshakeIsNotWaitedFor(t *testing.T) {
	o := newOffice(t)
	s := gateway.Security{TLS: o.credentials(codec.Identity{Role: codec.RoleBroker, Name: "n1"}).Server(gateway.ALPN), Shown: trust.Shown}
	g := gateway.New(newMemory("t", 1), gateway.Options{Security: s})
	at, err := g.Listen("127.0.0.1:0")
	require.NoError(t, err)
	for _, said := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
		nc, err := net.Dial("tcp", at.String())
		require.NoError(t, err)
		_, err = io.WriteString(nc, said)
		require.NoError(t, err)
		defer nc.Close()
	}
	require.Eventually(t, func() bool { return g.Connections() == 2 }, 5*time.Second, time.Millisecond)
	require.NoError(t, g.Close(t.Context()))
}

// Records go in and out by TLS as they do without it, large ones and small ones.
func TestRecordsGoByTLS(t *testing.T) {
	o := newOffice(t)
	m := newMemory("t", 1)
	at := serveSecure(t, m, gateway.Security{TLS: o.credentials(codec.Identity{Role: codec.RoleBroker, Name: "n1"}).Server(gateway.ALPN), Shown: trust.Shown})
	c := dial(t, Options{TLS: o.credentials(codec.Identity{Role: codec.RoleClient, Name: "ann"}).Client(gateway.ALPN, nil)}, at)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{})
	require.NoError(t, err)
	const count = 3000
	for i := range count {
		r := codec.Record{Timestamp: codec.NoTimestamp, Value: fmt.Appendf(nil, "%d %s", i, make([]byte, i%3000))}
		require.NoError(t, p.ProduceTo(t.Context(), 0, r, nil))
	}
	require.NoError(t, p.Close(t.Context()))
	n, err := c.Consumer(t.Context(), "t", ConsumerOptions{})
	require.NoError(t, err)
	defer n.Close()
	for i := 0; i < count; {
		rs, err := n.Poll(t.Context())
		require.NoError(t, err)
		for rs.Next() {
			require.Equal(t, fmt.Sprintf("%d %s", i, make([]byte, i%3000)), string(rs.Record().Value))
			i++
		}
	}
}
