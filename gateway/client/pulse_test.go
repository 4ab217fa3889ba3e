package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// greeting greets each connection and leaves the rest to script.
func greeting(t *testing.T, inFlight int, script func(net.Conn)) string {
	welcome := codec.EncodeResponse(nil, 1, &codec.Welcome{Protocol: 1, FrameMax: 8 << 20, InFlightMax: inFlight}).Bytes()
	return hostile(t, func(c net.Conn) {
		_, _ = c.Write(welcome)
		script(c)
	})
}

func deaf(l net.Conn) { _, _ = io.Copy(io.Discard, l) }

func TestASilentServerIsNoticed(t *testing.T) {
	c := dial(t, Options{KeepAlive: 10 * time.Millisecond, RetryFor: time.Nanosecond}, greeting(t, 8, deaf))
	err := c.Ping(t.Context())
	require.ErrorIs(t, err, codec.E(codec.Unavailable))
	require.ErrorContains(t, err, "nothing was heard of it for 20ms, nor an answer to a ping")
}

// A server that was stopped takes no bytes: those who wait are told even so.
func TestAServerThatReadsNothingIsNoticed(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	c := dial(t, Options{KeepAlive: 50 * time.Millisecond}, greeting(t, 1024, func(net.Conn) { <-over }))
	told := make(chan error, 20)
	large := ready(t, string(make([]byte, 1<<20))) // more than the kernels hold
	for range 20 {
		require.NoError(t, c.ProduceBatch(t.Context(), tp0, large, func(_ codec.Produced, err error) { told <- err }))
	}
	require.ErrorIs(t, <-told, codec.E(codec.Unknown), "the first left, in part")
	for range 19 {
		require.Error(t, <-told)
	}
}

// That the client goes on sending is no sign of the server's life.
func TestASilentServerIsNoticedBesideABusyProducer(t *testing.T) {
	c := dial(t, Options{KeepAlive: 50 * time.Millisecond}, greeting(t, 4096, deaf))
	told := make(chan error, 4096)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < 4000; sent++ {
		select {
		case err := <-told:
			require.ErrorIs(t, err, codec.E(codec.Unknown))
			return
		case <-tick.C:
			err := c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(_ codec.Produced, err error) { told <- err })
			if err != nil {
				require.ErrorIs(t, err, codec.E(codec.Unavailable))
			}
		}
	}
	t.Fatal("nobody was told in 20 s")
}

// A slow answer is no death: a server that answers pings is waited for, even
// when no slot is left for another request.
func TestAServerThatAnswersPingsIsWaitedFor(t *testing.T) {
	const patience = 4
	c := dial(t, Options{KeepAlive: 200 * time.Millisecond}, greeting(t, 2, func(c net.Conn) {
		frames := codec.NewFrameReader(bufio.NewReader(c), 8<<20)
		var produce uint32
		for pings := 0; pings < patience; {
			f, err := frames.Read(nil)
			if err != nil {
				return
			}
			e, _ := codec.ParseEnvelope(f)
			if e.Op == codec.OpProduce {
				produce = e.ID
				continue
			}
			pings++
			_, _ = c.Write(codec.EncodeResponse(nil, e.ID, codec.Empty{}).Bytes())
		}
		_, _ = c.Write(codec.EncodeResponse(nil, produce, &codec.Produced{Base: 7}).Bytes())
	}))
	told := make(chan error, 1)
	require.NoError(t, c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(_ codec.Produced, err error) { told <- err }))
	full, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.ProduceBatch(full, tp0, ready(t, "x"), nil), context.DeadlineExceeded, "no slot is left")
	require.NoError(t, <-told)
}

// A long poll is longer than the silence that is allowed: the broker answers
// pings beside it.
func TestALongPollIsNoSilence(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{KeepAlive: 100 * time.Millisecond, RetryFor: time.Nanosecond}, addr)
	var got codec.Fetched
	f := &codec.Fetch{TopicPartition: tp0, MaxBytes: 1000, MaxWait: 500, MinBytes: 1}
	require.NoError(t, c.read(t.Context(), tp0, f, &got))
	require.Empty(t, got.Batches)
}
