package service

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// A broker that shuts down is left when nothing that may be stored is under way: what
// waits there, for a minute maybe, waits on at the next broker, and holds nothing up.
func TestWhoWaitsDoesNotHoldUpALeave(t *testing.T) {
	one, two := script(t, "n1", "127.0.0.1:0", least), script(t, "n2", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{one.address, two.address}})
	waits := p.ask(0, &codec.Await{Tag: 1, Offset: 9, Within: time.Minute})
	stores := p.ask(0, &codec.Store{Tag: 2, Batch: batchOf(t, "x")})
	wait(t, one.calls, "a call")
	wait(t, one.calls, "another")
	after := p.ask(0, &codec.AskBounds{Tag: 3})
	one.LeaveServices()
	until(t, "the goodbye", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.leaving
	})
	wait(t, one.replies, "a way back")
	wait(t, one.replies, "a way back")(&codec.Reply{Offset: 4})
	require.NoError(t, answer[*codec.Stored](t, stores).Err, "the answer comes first")

	require.Equal(t, codec.CallAwait, wait(t, two.calls, "the one that waits").Kind)
	require.Equal(t, codec.CallBounds, wait(t, two.calls, "the one behind it").Kind)
	wait(t, two.replies, "a way back")(&codec.Reply{HighWatermark: 10})
	wait(t, two.replies, "a way back")(&codec.Reply{HighWatermark: 10})
	require.Equal(t, &codec.Bounds{Tag: 1, HighWatermark: 10}, answer[*codec.Bounds](t, waits))
	require.Equal(t, &codec.Bounds{Tag: 3, HighWatermark: 10}, answer[*codec.Bounds](t, after))
	require.Equal(t, Status{Broker: "n2", Window: least}, p.Status())
}

// stuck is a connection that takes nothing more, when it is told so, until it is closed.
type stuck struct {
	net.Conn
	now, closed, tried chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	select {
	case <-s.now:
		s.tried <- struct{}{}
		<-s.closed
		return 0, net.ErrClosed
	default:
		return s.Conn.Write(p)
	}
}

func (s *stuck) Close() error {
	err := s.Conn.Close()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return err
}

// Close does not wait for a broker that takes nothing.
func TestCloseWhileABrokerTakesNothing(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	c := &stuck{now: make(chan struct{}), closed: make(chan struct{}), tried: make(chan struct{}, 10)}
	p := attach(t, Config{Brokers: []string{s.address}, Dial: func(ctx context.Context, address string) (_ net.Conn, err error) {
		c.Conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		return c, err
	}})
	close(c.now)
	stores := p.ask(0, &codec.Store{Batch: batchOf(t, "x")})
	wait(t, c.tried, "a write")
	closed, began := make(chan struct{}), time.Now()
	go func() {
		defer close(closed)
		p.Close()
	}()
	wait(t, closed, "the end")
	require.Less(t, time.Since(began), 10*time.Second, "at 15 s it is known that nothing is heard")
	require.Error(t, answer[*codec.Stored](t, stores).Err, "UNKNOWN, or STOPPING when what was written was only that the service is here")
}

// A broker that goes before it has answered leaves batches in doubt, and nothing else.
func TestAPlannedEndThatIsCutShort(t *testing.T) {
	one, two := script(t, "n1", "127.0.0.1:0", least), script(t, "n2", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{one.address, two.address}})
	waits := p.ask(0, &codec.Await{Tag: 1, Offset: 9, Within: time.Minute})
	under := p.ask(0, &codec.Store{Tag: 2, Batch: batchOf(t, "x")})
	wait(t, one.calls, "a call")
	wait(t, one.calls, "another")
	behind := p.ask(0, &codec.Store{Tag: 3, Batch: batchOf(t, "y")})
	one.Close()
	require.ErrorIs(t, answer[*codec.Stored](t, under).Err, codec.E(codec.Unknown))
	require.ErrorIs(t, answer[*codec.Stored](t, behind).Err, codec.E(codec.Unavailable), "or it would overtake")
	require.Equal(t, codec.CallAwait, wait(t, two.calls, "the one that waits").Kind)
	wait(t, two.replies, "a way back")(&codec.Reply{HighWatermark: 10})
	require.Equal(t, &codec.Bounds{Tag: 1, HighWatermark: 10}, answer[*codec.Bounds](t, waits))
	p.Close()
	require.Empty(t, two.calls)
}
