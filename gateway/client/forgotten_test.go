package client

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// unlucky is a producer whose connection was lost and who now waits for a
// dial; it fails when fail is closed.
func unlucky(t *testing.T, o ProducerOptions) (p *Producer, dialed <-chan struct{}, fail chan struct{}) {
	addr, cut := serve(t, newMemory("t", 1), "127.0.0.1:0")
	begun, fail := make(chan struct{}, 1), make(chan struct{})
	first := true
	c := dial(t, Options{Dial: func(ctx context.Context, address string) (net.Conn, error) {
		if first {
			first = false
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
		select {
		case begun <- struct{}{}:
		default:
		}
		<-fail
		return nil, errors.New("as planned")
	}}, addr)
	p, err := c.Producer(t.Context(), "t", o)
	require.NoError(t, err)
	l, err := c.any(t.Context())
	require.NoError(t, err)
	cut()
	<-l.dead
	return p, begun, fail
}

// A batch that was ready to leave while another was before it leaves when
// that one is given up, though no answer comes that would tell the keeper.
func TestABatchBehindOneThatWasGivenUp(t *testing.T) {
	p, dialed, fail := unlucky(t, ProducerOptions{NoRetry: true, Linger: -1})
	told := make(chan error, 2)
	put := func() {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	}
	put()
	<-dialed
	put()
	for p.wakeAt.Load() < time.Now().Add(time.Minute).UnixNano() || len(p.wake) > 0 {
		runtime.Gosched() // until the keeper has seen that there is nothing for it to do
	}
	close(fail)
	require.ErrorIs(t, <-told, codec.E(codec.Unavailable))
	select {
	case err := <-told:
		require.ErrorIs(t, err, codec.E(codec.Unavailable))
	case <-time.After(10 * time.Second):
		t.Fatal("the second batch is forgotten")
	}
	require.Error(t, p.Close(t.Context()))
}

// Close tells what never left TIMED_OUT, also while a server is being looked
// for: an end of the search that Close brought about is nobody's error.
func TestCloseWhileAServerIsLookedFor(t *testing.T) {
	p, dialed, fail := unlucky(t, ProducerOptions{Linger: -1})
	defer close(fail)
	told := make(chan error, 1)
	require.NoError(t, p.Produce(t.Context(), codec.Record{}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	<-dialed
	p.cancel() // as Close does, before it tells those who are left
	require.ErrorIs(t, <-told, codec.E(codec.TimedOut))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, p.Close(over))
}
