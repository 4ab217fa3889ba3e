package trust

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

const protocol = "troupe-test/1"

var (
	n1      = codec.Identity{Role: codec.RoleBroker, Name: "n1"}
	n2      = codec.Identity{Role: codec.RoleBroker, Name: "n2"}
	billing = codec.Identity{Role: codec.RoleService, Name: "billing"}
)

// office is an authority and a directory for what it signs.
type office struct {
	*testing.T
	ca  Pair
	dir string
}

func newOffice(t *testing.T) *office {
	ca, err := NewAuthority(time.Now(), AuthorityFor)
	require.NoError(t, err)
	o := &office{t, ca, t.TempDir()}
	require.NoError(t, Write(ca, filepath.Join(o.dir, AuthorityCert), filepath.Join(o.dir, AuthorityKey), false))
	return o
}

func (o *office) issue(order Order) Pair {
	o.Helper()
	if order.Holds == 0 {
		order.Holds = IssuedFor
	}
	p, err := Issue(o.ca, order, time.Now())
	require.NoError(o, err)
	return p
}

// files signs a certificate and keeps it.
func (o *office) files(who codec.Identity) Files {
	o.Helper()
	cert, key := FilesOf(o.dir, who)
	require.NoError(o, Write(o.issue(Order{Identity: who}), cert, key, true))
	return Files{cert, key, filepath.Join(o.dir, AuthorityCert)}
}

func (o *office) credentials(who codec.Identity) *Credentials {
	o.Helper()
	c, err := Load(o.files(who), nil)
	require.NoError(o, err)
	require.Equal(o, who, c.Identity())
	return c
}

// meet has two shake hands: what the one that dials says, and who the other
// one was shown. Like the link, the one that is dialled reads and then answers.
func meet(t *testing.T, dials *tls.Config, answers *Credentials) (shown codec.Identity, shownErr, dialErr error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		defer a.Close()
		c := tls.Client(a, dials)
		err := c.Handshake()
		if err == nil {
			_, err = c.Write([]byte{1})
		}
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		done <- err
	}()
	c := tls.Server(b, answers.Server(protocol))
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	if shownErr = c.Handshake(); shownErr == nil {
		if _, shownErr = c.Read(make([]byte, 1)); shownErr == nil {
			shown, shownErr = Shown(c.ConnectionState())
			_, err := c.Write([]byte{2})
			require.NoError(t, err)
		}
	}
	b.Close()
	return shown, shownErr, <-done
}

func TestBrokersKnowEachOther(t *testing.T) {
	o := newOffice(t)
	one, two := o.credentials(n1), o.credentials(n2)
	var answered codec.Identity
	shown, err, dialErr := meet(t, one.Client(protocol, func(i codec.Identity) error { answered = i; return nil }), two)
	require.NoError(t, err)
	require.NoError(t, dialErr)
	require.Equal(t, n1, shown)
	require.Equal(t, n2, answered)

	shown, err, dialErr = meet(t, o.credentials(billing).Client(protocol, nil), two)
	require.NoError(t, err)
	require.NoError(t, dialErr)
	require.Equal(t, billing, shown, "a service may dial")
}

// Who is not of the authority, or is not what it says, does not come through.
func TestStrangersAreSeen(t *testing.T) {
	o, others := newOffice(t), newOffice(t)
	two := o.credentials(n2)
	one := o.credentials(n1)

	_, err, dialErr := meet(t, others.credentials(n1).Client(protocol, nil), two)
	require.Error(t, err)
	require.ErrorContains(t, dialErr, "unknown authority")

	_, err, dialErr = meet(t, one.Client(protocol, nil), others.credentials(n2))
	require.Error(t, err)
	require.ErrorContains(t, dialErr, "unknown authority")

	bare := one.Client(protocol, nil)
	bare.GetClientCertificate = nil
	_, err, dialErr = meet(t, bare, two)
	require.ErrorIs(t, err, ErrNoCertificate)
	require.NoError(t, dialErr, "it is to be told why it must go")

	_, _, dialErr = meet(t, one.Client(protocol, nil), o.credentials(billing))
	require.ErrorContains(t, dialErr, "its certificate: x509: certificate specifies an incompatible key usage", "a service answers nobody")

	_, _, dialErr = meet(t, one.Client("h2", nil), two)
	require.ErrorContains(t, dialErr, "no application protocol")
	none := one.Client(protocol, nil)
	none.NextProtos = nil
	_, _, dialErr = meet(t, none, two)
	require.ErrorContains(t, dialErr, "does not speak "+protocol)

	old := one.Client(protocol, nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	_, err, dialErr = meet(t, old, two)
	require.Error(t, err)
	require.ErrorContains(t, dialErr, "protocol version")

	_, _, dialErr = meet(t, one.Client(protocol, func(i codec.Identity) error { return codec.Errorf(codec.WrongNode, "%s", i) }), two)
	require.ErrorIs(t, dialErr, codec.E(codec.WrongNode))
}

// A certificate whose authority holds, but which has two names, or none, or
// whose time is over, is none.
func TestStrangeCertificates(t *testing.T) {
	o := newOffice(t)
	good := o.files(n1)
	ca, key, err := parsePair(o.ca)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		says   string
	}{
		"no name":   {func(c *x509.Certificate) { c.URIs = nil }, "has 0 names"},
		"two names": {func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }, "has 2 names"},
		"ended":     {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }, "expired"},
		"to come":   {func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, "not yet valid"},
		"server":    {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, "key usage"},
	} {
		all, err := ParseCerts(o.issue(Order{Identity: n1}).Cert)
		require.NoError(t, err)
		_, own, err := parsePair(Pair{readAll(t, good.Cert), readAll(t, good.Key)})
		require.NoError(t, err)
		c.change(all[0])
		p, err := sign(all[0], ca, own, key)
		require.NoError(t, err)
		odd := Files{filepath.Join(t.TempDir(), "odd.crt"), good.Key, good.CA}
		require.NoError(t, os.WriteFile(odd.Cert, p.Cert, 0o600))
		_, err = Load(odd, nil)
		require.ErrorContains(t, err, c.says, name)
	}
	_, err = Load(Files{good.Cert, o.files(n2).Key, good.CA}, nil)
	require.ErrorContains(t, err, "private key does not match")
	_, err = Load(Files{good.Cert, good.Key, good.Key}, nil)
	require.ErrorContains(t, err, "no certificate in PEM")
	_, err = Load(Files{good.Cert, good.Key, filepath.Join(o.dir, "nope")}, nil)
	require.ErrorContains(t, err, "no such file")
	_, err = Load(Files{good.Cert, good.Key, "/dev/zero"}, nil)
	require.ErrorContains(t, err, "want a file")
}

func readAll(t *testing.T, name string) []byte {
	p, err := os.ReadFile(name)
	require.NoError(t, err)
	return p
}

// age makes Credentials look at their files at the next handshake.
func (c *Credentials) age() {
	c.mu.Lock()
	c.looked = time.Time{}
	c.mu.Unlock()
}

// Files that change are read again; what is wrong with them leaves what was.
func TestFilesAreReadAgain(t *testing.T) {
	o := newOffice(t)
	f := o.files(n1)
	var events []string
	c, err := Load(f, func(event string, _ ...any) { events = append(events, event) })
	require.NoError(t, err)
	serial := func() string { return c.current().cert.Leaf.SerialNumber.String() }
	first := serial()

	o.files(n1)
	require.Equal(t, first, serial(), "within the second nobody looks")
	c.age()
	second := serial()
	require.NotEqual(t, first, second)
	require.Equal(t, []string{"certificates were read again"}, events)

	require.NoError(t, os.WriteFile(f.Key, []byte("half"), 0o600))
	for range 3 {
		c.age()
		require.Equal(t, second, serial())
		require.NotEmpty(t, c.Trouble())
	}
	require.Len(t, events, 2, "the same trouble is told once")

	cert, _ := FilesOf(o.dir, n1)
	require.NoError(t, Write(o.issue(Order{Identity: n2}), cert, f.Key, true))
	c.age()
	require.Equal(t, n1, c.Identity())
	require.Contains(t, c.Trouble(), "now names troupe://broker/n2")

	o.files(n1)
	c.age()
	require.NotEqual(t, second, serial())
	require.Empty(t, c.Trouble())

	require.NoError(t, os.Remove(f.CA))
	c.age()
	_, err, dialErr := meet(t, o.withCA().Client(protocol, nil), c)
	require.NoError(t, err, "without the file, those that were believed are")
	require.NoError(t, dialErr)
}

// withCA are credentials of n2, with the authority's file written anew.
func (o *office) withCA() *Credentials {
	name := filepath.Join(o.dir, "again.crt")
	require.NoError(o, os.WriteFile(name, o.ca.Cert, 0o600))
	f := o.files(n2)
	f.CA = name
	c, err := Load(f, nil)
	require.NoError(o, err)
	return c
}

// Two authorities in the file are both believed: so one takes over from the
// other without a moment in which nobody is.
func TestAnAuthorityTakesOver(t *testing.T) {
	old, next := newOffice(t), newOffice(t)
	both := filepath.Join(t.TempDir(), "both.crt")
	require.NoError(t, os.WriteFile(both, append(append([]byte{}, old.ca.Cert...), next.ca.Cert...), 0o600))
	a, b := old.files(n1), next.files(n2)
	a.CA, b.CA = both, both
	one, err := Load(a, nil)
	require.NoError(t, err)
	two, err := Load(b, nil)
	require.NoError(t, err)
	shown, err, dialErr := meet(t, one.Client(protocol, nil), two)
	require.NoError(t, err)
	require.NoError(t, dialErr)
	require.Equal(t, n1, shown)
}

func TestOrders(t *testing.T) {
	o := newOffice(t)
	p := o.issue(Order{Identity: n1, Hosts: []string{"n1.example.com", "10.0.0.1", "::1", "localhost"}})
	all, err := ParseCerts(p.Cert)
	require.NoError(t, err)
	s := ShapeOf(all[0], time.Now())
	require.Equal(t, "troupe://broker/n1", s.Name)
	require.Equal(t, []string{"n1.example.com", "localhost", "10.0.0.1", "::1"}, s.Hosts)
	require.Empty(t, s.Trouble)
	require.Equal(t, "it has ended", ShapeOf(all[0], time.Now().Add(2*IssuedFor)).Trouble)
	require.NotEmpty(t, ShapeOf(all[0], time.Now().Add(-2*time.Hour)).Trouble)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(o.ca.Cert))
	for _, host := range []string{"n1.example.com", "10.0.0.1", "localhost"} {
		_, err := all[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
		require.NoError(t, err, "clients reach it as %s", host)
	}

	for _, host := range []string{"", "n1:9651", "*.example.com", ".x", "-x", "a b", "http://n1"} {
		_, err := Issue(o.ca, Order{Identity: n1, Hosts: []string{host}, Holds: time.Hour}, time.Now())
		require.ErrorContains(t, err, "want a DNS name or an IP address", "%q", host)
	}
	_, err = Issue(o.ca, Order{Identity: codec.Identity{Role: "root", Name: "n1"}}, time.Now())
	require.ErrorContains(t, err, `role "root"`)
	_, err = Issue(p, Order{Identity: n2}, time.Now())
	require.ErrorContains(t, err, "not one that signs others")
	_, err = Issue(o.ca, Order{Identity: n2}, time.Now().Add(2*AuthorityFor))
	require.ErrorContains(t, err, "the authority ended")

	long, err := ParseCerts(o.issue(Order{Identity: n1, Holds: 2 * AuthorityFor}).Cert)
	require.NoError(t, err)
	ca, err := ParseCerts(o.ca.Cert)
	require.NoError(t, err)
	require.Equal(t, ca[0].NotAfter, long[0].NotAfter, "nothing outlives its authority")
	require.True(t, ShapeOf(ca[0], time.Now()).Authority)
}

func TestKeysAreKept(t *testing.T) {
	o := newOffice(t)
	for _, name := range []string{AuthorityKey, filepath.Base(o.files(n1).Key)} {
		info, err := os.Stat(filepath.Join(o.dir, name))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm(), name)
	}
	cert, key := FilesOf(o.dir, n1)
	before := readAll(t, key)
	require.ErrorContains(t, Write(o.issue(Order{Identity: n1}), cert, key, false), "is there: --force replaces it")
	require.NoError(t, os.Remove(cert))
	require.ErrorContains(t, Write(o.issue(Order{Identity: n1}), cert, key, false), ".key is there")
	require.Equal(t, before, readAll(t, key))
	require.NoFileExists(t, cert)
	require.NoError(t, Write(o.issue(Order{Identity: n1}), cert, key, true))
	require.NotEqual(t, before, readAll(t, key))

	ca, err := ReadAuthority(o.dir)
	require.NoError(t, err)
	require.Equal(t, o.ca, ca)
	_, err = ReadAuthority(t.TempDir())
	require.ErrorContains(t, err, AuthorityCert)
}
