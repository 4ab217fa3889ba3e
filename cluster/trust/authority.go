package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// How long certificates hold when nothing else is said.
const (
	AuthorityFor = 10 * 365 * 24 * time.Hour
	IssuedFor    = 365 * 24 * time.Hour
)

// backdated is how much earlier a certificate begins to hold, for machines
// whose clocks are behind.
const backdated = time.Hour

// Pair is a certificate and its private key, both in PEM.
type Pair struct {
	Cert []byte
	Key  []byte
}

// NewAuthority makes a private authority: a self-signed certificate that signs
// others, and no further authorities. Keys are ECDSA on P-256.
func NewAuthority(now time.Time, holds time.Duration) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "troupe authority"},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(holds),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	return sign(cert, cert, key, key)
}

// Order is what a certificate is to say.
type Order struct {
	Identity codec.Identity
	// Hosts are the DNS names and IP addresses by which clients reach it.
	Hosts []string
	// Holds is from now on; at most as long as the authority does.
	Holds time.Duration
}

// Issue has an authority sign a certificate with a new key. Brokers' may stand
// on both sides of a connection, others' only on the side that dials.
func Issue(authority Pair, o Order, now time.Time) (Pair, error) {
	if err := o.Identity.Check(); err != nil {
		return Pair{}, err
	}
	ca, caKey, err := parsePair(authority)
	if err != nil {
		return Pair{}, fmt.Errorf("the authority: %w", err)
	}
	if !ca.IsCA {
		return Pair{}, errors.New("the authority: its certificate is not one that signs others")
	}
	if now.After(ca.NotAfter) {
		return Pair{}, fmt.Errorf("the authority ended on %s: make another with troupe certs init", ca.NotAfter.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	name, err := url.Parse(o.Identity.String())
	if err != nil {
		return Pair{}, fmt.Errorf("name %s: %w", o.Identity, err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: o.Identity.Name, OrganizationalUnit: []string{string(o.Identity.Role)}},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(o.Holds), URIs: []*url.URL{name},
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if cert.NotAfter.After(ca.NotAfter) {
		cert.NotAfter = ca.NotAfter
	}
	if o.Identity.Role == codec.RoleBroker {
		cert.ExtKeyUsage = append(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range o.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else if dnsName(host) {
			cert.DNSNames = append(cert.DNSNames, host)
		} else {
			return Pair{}, fmt.Errorf("host %q: want a DNS name or an IP address, without a port", host)
		}
	}
	return sign(cert, ca, key, caKey)
}

// dnsName says whether s can be the name of a machine: what a certificate for
// something else would match is not ours to guess.
func dnsName(s string) bool {
	for _, b := range []byte(s) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '.' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 253 && s[0] != '.' && s[0] != '-'
}

// serial is a number that no other certificate has, of 127 bits.
func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic("trust: no random numbers: " + err.Error())
	}
	return n.Add(n, big.NewInt(1))
}

func sign(cert, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, by, &key.PublicKey, byKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("marshal a key: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}),
	}, nil
}

// parsePair reads what sign gave.
func parsePair(p Pair) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	all, err := ParseCerts(p.Cert)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(p.Key)
	if block == nil {
		return nil, nil, errors.New("the key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("the key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("the key is %T: want ECDSA", parsed)
	}
	if !key.PublicKey.Equal(all[0].PublicKey) {
		return nil, nil, errors.New("the key is not that of the certificate")
	}
	return all[0], key, nil
}

// ParseCerts reads the certificates of a PEM file, at least one.
func ParseCerts(p []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, p = pem.Decode(p); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the file: %w", len(all)+1, err)
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, errors.New("no certificate in PEM is in it")
	}
	return all, nil
}
