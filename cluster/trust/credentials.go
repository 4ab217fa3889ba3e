package trust

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Files name what a process shows of itself, and whom it believes; all PEM. One
// that only dials may show nothing: then Cert and Key are empty.
type Files struct {
	Cert string // its certificate
	Key  string // its private key
	CA   string // certificates of the authorities that it believes
}

// Credentials are the contents of Files. They are looked at again at the
// handshakes of connections, at most once a second; connections that are open
// stay.
type Credentials struct {
	files Files
	log   func(event string, fields ...any)

	mu     sync.Mutex
	now    *loaded
	looked time.Time
	failed string // of the last reading, told once
}

// loaded is what the files said at one time.
type loaded struct {
	cert     tls.Certificate
	pool     *x509.CertPool
	identity codec.Identity
	stamps   [3]stamp
}

// stamp tells that a file was changed.
type stamp struct {
	at   time.Time
	size int64
}

// lookEvery is the least time between two looks at the files.
const lookEvery = time.Second

// Load reads the files for the first time. Its errors name the file and what
// to do. log may be nil; it is told of later readings.
func Load(f Files, log func(event string, fields ...any)) (*Credentials, error) {
	now, err := read(f)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string, ...any) {}
	}
	return &Credentials{files: f, log: log, now: now, looked: time.Now()}, nil
}

// Identity is who the certificate speaks for, nobody without one. It stays the
// same when files change.
func (c *Credentials) Identity() codec.Identity { return c.current().identity }

// NotAfter is when the certificate ends.
func (c *Credentials) NotAfter() time.Time { return c.current().cert.Leaf.NotAfter }

// Trouble is why the files as they are now are not used; empty when they are.
func (c *Credentials) Trouble() string {
	c.current()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// current is what to use now.
func (c *Credentials) current() *loaded {
	c.mu.Lock()
	now, tell := c.look()
	c.mu.Unlock()
	if tell != nil {
		tell()
	}
	return now
}

// look looks at the files when it is time, and returns what to use and what
// there is to log. The caller holds the lock.
func (c *Credentials) look() (now *loaded, tell func()) {
	if time.Since(c.looked) < lookEvery {
		return c.now, nil
	}
	c.looked = time.Now()
	if stamps, err := stampsOf(c.files); err == nil && stamps == c.now.stamps {
		c.failed = ""
		return c.now, nil
	}
	next, err := read(c.files)
	if err == nil && next.identity != c.now.identity {
		err = fmt.Errorf("%s now names %s, and this is %s: restart for that", c.files.Cert, next.identity, c.now.identity)
	}
	if err == nil {
		c.now, c.failed = next, ""
		return c.now, func() {
			c.log("certificates were read again", "name", next.identity.String(), "until", next.cert.Leaf.NotAfter)
		}
	}
	if c.failed == err.Error() {
		return c.now, nil
	}
	c.failed = err.Error()
	return c.now, func() { c.log("certificates were changed and cannot be used, those before stay", "error", err) }
}

func stampsOf(f Files) (all [3]stamp, err error) {
	for i, name := range []string{f.Cert, f.Key, f.CA} {
		if name == "" && !f.shows() {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return all, err
		}
		all[i] = stamp{info.ModTime(), info.Size()}
	}
	return all, nil
}

// read reads the three files and holds them against each other. The stamps
// are taken first: what changes meanwhile is read once more.
func read(f Files) (l *loaded, err error) {
	l = &loaded{pool: x509.NewCertPool()}
	if l.stamps, err = stampsOf(f); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	ca, err := readFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	authorities, err := ParseCerts(ca)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.CA, err)
	}
	for _, a := range authorities {
		l.pool.AddCert(a)
	}
	if !f.shows() {
		return l, nil
	}
	return l, l.own(f)
}

// shows says whether there is a certificate.
func (f Files) shows() bool { return f.Cert != "" || f.Key != "" }

// own reads what the process shows of itself.
func (l *loaded) own(f Files) error {
	cert, err := readFile(f.Cert)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	key, err := readFile(f.Key)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	if l.cert, err = tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("%s and %s: %w", f.Cert, f.Key, err)
	}
	if l.identity, err = identityOf(l.cert.Leaf); err != nil {
		return fmt.Errorf("%s: %w", f.Cert, err)
	}
	chain, err := ParseCerts(cert)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Cert, err)
	}
	if err := verify(chain, l.pool, x509.ExtKeyUsageClientAuth); err != nil {
		return fmt.Errorf("%s does not hold before %s: %w: make one with troupe certs node or client", f.Cert, f.CA, err)
	}
	return nil
}

// identityOf is who a certificate speaks for.
func identityOf(cert *x509.Certificate) (codec.Identity, error) {
	uris := make([]string, len(cert.URIs))
	for i, u := range cert.URIs {
		uris[i] = u.String()
	}
	return codec.ParseIdentity(uris)
}

// verify holds a chain, the certificate first, against authorities, at this
// time. Hosts play no part: the identity does.
func verify(chain []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}
