package link

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unackedWithin is how long what was sent may stay without TCP's own
// acknowledgement. Then the connection ends and is dialled anew. TCP by itself
// would send again at longer and longer intervals: after a cable was out for
// three seconds it says nothing for three more, and letters about a vote wait
// in it while all is well again. A process that stands still is no reason, its
// kernel acknowledges.
const unackedWithin = 2 * time.Second

// DialTCP opens the TCP connection of a link, unless Config.Dial is another. An
// error is that of package net. TCP_NODELAY is on, as Go has it.
func DialTCP(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if no := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedWithin.Milliseconds()))
		}); no != nil {
			return no
		}
		return err
	}}
	return d.DialContext(ctx, "tcp", address)
}

// dialFresh is how long a dial is left alone: one that is answered takes no longer
// between most brokers.
const dialFresh = 100 * time.Millisecond

var errKicked = errors.New("the peer is there")

// dial opens a connection for a lane. One that waits for an answer while the
// peer shows that it is there begins anew: what TCP said into a cut cable it
// says again after a second only.
func (a *lane) dial(ctx context.Context, address string) (net.Conn, error) {
	for {
		c, err := a.dialOnce(ctx, address)
		if err == nil || !errors.Is(err, errKicked) || ctx.Err() != nil {
			return c, err
		}
	}
}

// dialOnce returns errKicked when the lane was kicked meanwhile.
func (a *lane) dialOnce(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		fresh := time.NewTimer(dialFresh)
		defer fresh.Stop()
		select {
		case <-fresh.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-a.kick:
			cancel(errKicked)
		case <-ctx.Done():
		}
	}()
	c, err := a.link.config.Dial(ctx, address)
	cancel(nil)
	<-watched
	if err != nil && context.Cause(ctx) == errKicked {
		return nil, errKicked
	}
	return c, err
}
