package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"
)

// Shape is what there is to say about a certificate.
type Shape struct {
	Name        string    `json:"name"` // troupe://ROLE/NAME; empty for an authority
	Authority   bool      `json:"authority"`
	Hosts       []string  `json:"hosts,omitempty"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	Fingerprint string    `json:"sha256"` // of the certificate, hexadecimal
	// Trouble is what makes it useless to Troupe; empty when nothing does.
	Trouble string `json:"trouble,omitempty"`
}

// ShapeOf looks at a certificate, at a time.
func ShapeOf(cert *x509.Certificate, now time.Time) Shape {
	sum := sha256.Sum256(cert.Raw)
	s := Shape{
		Authority: cert.IsCA, Hosts: append([]string{}, cert.DNSNames...), Issuer: cert.Issuer.String(), Serial: cert.SerialNumber.Text(16),
		From: cert.NotBefore, Until: cert.NotAfter, Fingerprint: hex.EncodeToString(sum[:]),
	}
	for _, ip := range cert.IPAddresses {
		s.Hosts = append(s.Hosts, ip.String())
	}
	if !cert.IsCA {
		who, err := identityOf(cert)
		if err == nil {
			s.Name = who.String()
		} else {
			s.Trouble = err.Error()
		}
	}
	switch {
	case now.After(cert.NotAfter):
		s.Trouble = "it has ended"
	case now.Before(cert.NotBefore):
		s.Trouble = "it does not hold yet: is the clock right?"
	}
	return s
}
