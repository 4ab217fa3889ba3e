package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/troupe-mq/troupe/codec"
)

// ErrUntrusted is that the two sides do not believe each other's certificates, or only one
// of them speaks TLS.
var ErrUntrusted = errors.New("the two sides do not believe each other's certificates")

// untrusted is such an error, in its own words.
type untrusted struct{ error }

func (untrusted) Is(target error) bool { return target == ErrUntrusted }

func (u untrusted) Unwrap() error { return u.error }

// explain makes what the network and TLS say one sentence that names what to
// look at, and in which nothing differs from one dial to the next. A refusal
// explains itself.
func explain(err error) error {
	var coded *codec.Error
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	var late net.Error
	says, trust := "", false
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case errors.As(err, &record):
		says, trust = "it does not speak TLS, and this side does: give both certificates of one authority, or none", true
	case errors.As(err, &authority):
		says, trust = "its certificate is of an authority that this side does not know: give both certificates of one", true
	case errors.As(err, &invalid):
		says, trust = "its certificate does not hold: renew it", true
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "no application protocol"):
		says = "no link is there: clients are at one port, and links at another, 9651 by default"
	case errors.As(err, &op) && op.Op == "remote error":
		says, trust = "it does not take this side's certificate: give both certificates of one authority", true
	case errors.Is(err, syscall.ECONNREFUSED):
		says = "nobody listens there"
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ETIMEDOUT) && !(errors.As(err, &op) && op.Op == "dial"):
		says = "what was sent was not acknowledged in time"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout():
		says = "nobody answers there in time"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		says = "it closed the connection"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		says = "the connection was reset"
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	default:
		return err
	}
	if errors.As(err, &op) {
		err = op.Err // without addresses, which differ
	}
	if err = fmt.Errorf("%s: %w", says, err); trust {
		return untrusted{err}
	}
	return err
}
