package link

import (
	"context"
	"errors"
	"net"
	"time"
)

// dialTCP opens a TCP connection, with TCP_NODELAY, as Go has it.
func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// DialTCP opens the TCP connection of a lane, unless Config.Dial is another. An
// error is that of package net. On Linux the connection ends when what was sent
// stays without TCP's own acknowledgement, or is not taken, for two seconds: so
// services, which a broker holds back on purpose, do not dial by it.
func DialTCP(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Control: endUnacked}
	return d.DialContext(ctx, "tcp", address)
}

// dialFresh is how long a dial is left alone: one that is answered takes no longer
// between most brokers.
const dialFresh = 100 * time.Millisecond

var errKicked = errors.New("the peer is there")

// dial opens a connection for a lane. One that waits for an answer while the
// peer shows that it is there begins anew: what TCP said into a cut cable it
// says again after a second only. One whose peer has moved ends.
func (a *lane) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, laneWithin)
	defer cancel()
	for {
		c, err := a.dialOnce(ctx, address)
		if err == nil || !errors.Is(err, errKicked) {
			return c, err
		}
		if a.moved(address) {
			return nil, errMoved
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// moved says whether the address is another by now. Then the next dial is not waited
// for: the kick that told of it was taken here.
func (a *lane) moved(from string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.address == from {
		return false
	}
	select {
	case a.kick <- struct{}{}:
	default:
	}
	return true
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
