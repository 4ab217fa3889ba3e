package client

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// held is a producer for a partition that stores nothing and answers late.
func held(t *testing.T, o ProducerOptions) (*Client, *Producer, *log) {
	m := newMemory("t", 1)
	l := m.topics["t"][0]
	l.hold = true
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", o)
	require.NoError(t, err)
	return c, p, l
}

// When Close returns every record was told, once: a late answer changes
// nothing, and a further Close says the same.
func TestCloseTellsEveryRecord(t *testing.T) {
	c, p, l := held(t, ProducerOptions{BatchBytes: 100})
	told := make(chan error, 10)
	tell := func(_ codec.Partition, _ codec.Offset, err error) { told <- err }
	for range 3 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Value: make([]byte, 100)}, tell))
	}
	l.holds(3)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Close(over)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "3 records without an answer")
	require.Len(t, told, 3)
	require.ErrorIs(t, <-told, codec.E(codec.Unknown))
	require.Equal(t, err, p.Close(t.Context()))
	l.release()
	require.NoError(t, c.Ping(t.Context()), "its answer comes behind the late ones")
	require.Len(t, told, 2)
	require.Zero(t, p.room.bytes())
}

// What never left was not stored, and is told so.
func TestCloseRefusesWhatNeverLeft(t *testing.T) {
	_, p, l := held(t, ProducerOptions{Linger: time.Hour})
	told := make(chan error, 1)
	require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("x")}, func(_ codec.Partition, _ codec.Offset, err error) { told <- err }))
	p.cancel() // as if Close had been faster than the sender
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, p.Close(over))
	require.Len(t, told, 1)
	require.ErrorIs(t, <-told, codec.E(codec.TimedOut))
	require.Zero(t, l.held)
}

// A Flush waits for what was there when it was called, and not for what came
// after.
func TestAFlushEndsBesideABusyProducer(t *testing.T) {
	_, p, l := held(t, ProducerOptions{Linger: time.Hour})
	require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("before")}, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	flushed := make(chan error, 1)
	go func() { flushed <- p.Flush(ctx) }()
	l.holds(1) // it was Flush that sent it
	require.NoError(t, p.Produce(t.Context(), codec.Record{Value: []byte("after")}, nil))
	l.release()
	require.NoError(t, <-flushed)
	cancel()
	require.Error(t, p.Close(ctx))
}

// The callbacks of a connection that was lost are over when Close returns,
// although the client has forgotten the connection.
func TestCloseWaitsForCallbacksOfALostConnection(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].hold = true
	addr, cut := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{RetryFor: time.Nanosecond}, addr)
	begun, let := make(chan struct{}), make(chan struct{})
	var over atomic.Bool
	require.NoError(t, c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(codec.Produced, error) {
		close(begun)
		<-let
		over.Store(true)
	}))
	m.topics["t"][0].holds(1)
	cut()
	<-begun
	require.Error(t, c.Ping(t.Context()))
	time.AfterFunc(20*time.Millisecond, func() { close(let) })
	c.Close()
	require.True(t, over.Load())
}

// With StopAtError nothing leaves behind a failed batch of its partition, so
// that what is stored has no hole in it.
func TestNothingLeavesBehindAFailure(t *testing.T) {
	m := newMemory("t", 2)
	m.topics["t"][0].refuse = codec.Errorf(codec.DiskFull, "no room")
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{StopAtError: true, NoRetry: true})
	require.NoError(t, err)
	var first, behind, other error
	put := func(at codec.Partition, err *error) {
		require.NoError(t, p.ProduceTo(t.Context(), at, codec.Record{}, func(_ codec.Partition, _ codec.Offset, e error) { *err = e }))
	}
	put(0, &first)
	require.ErrorIs(t, p.Flush(t.Context()), codec.E(codec.DiskFull))
	m.topics["t"][0].mu.Lock()
	m.topics["t"][0].refuse = nil // there would be room again
	m.topics["t"][0].mu.Unlock()
	put(0, &behind)
	put(1, &other)
	require.Error(t, p.Close(t.Context()))
	require.EqualError(t, first, "DISK_FULL: no room")
	require.EqualError(t, behind, "UNAVAILABLE: not sent, for a batch before it failed: DISK_FULL: no room")
	require.NoError(t, other, "the other partition goes on")
	require.Empty(t, m.topics["t"][0].batches)
}
