package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestAdministration(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	ctx := t.Context()
	require.NoError(t, c.Ping(ctx))
	d, err := c.CreateTopic(ctx, codec.CreateTopic{Topic: "new", Partitions: 3})
	require.NoError(t, err)
	require.Len(t, d.Partitions, 3)
	_, err = c.CreateTopic(ctx, codec.CreateTopic{Topic: "a b"})
	require.ErrorContains(t, err, "INVALID_TOPIC: topic name \"a b\"")
	d, err = c.AlterTopic(ctx, codec.AlterTopic{Topic: "new"})
	require.NoError(t, err)
	require.Equal(t, codec.Topic("new"), d.Topic)
	start, err := c.Trim(ctx, codec.TopicPartition{Topic: "t"}, 7)
	require.NoError(t, err)
	require.Equal(t, codec.Offset(7), start)
	require.NoError(t, c.DeleteTopic(ctx, "new"))
	_, err = c.DescribeTopic(ctx, "new")
	require.ErrorIs(t, err, codec.E(codec.UnknownTopic))
	_, err = c.Producer(ctx, "new", ProducerOptions{})
	require.ErrorIs(t, err, codec.E(codec.UnknownTopic))
}

func TestDialTakesTheFirstThatAnswers(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{}, closedPort(t), addr)
	require.NoError(t, c.Ping(t.Context()))

	_, err := Dial(t.Context(), []string{closedPort(t), closedPort(t)}, Options{})
	require.ErrorIs(t, err, codec.E(codec.Unavailable))
	require.ErrorContains(t, err, "no server answers: UNAVAILABLE: connect to 127.0.0.1:")
	require.ErrorContains(t, err, "connection refused")
	_, err = Dial(t.Context(), nil, Options{})
	require.ErrorIs(t, err, codec.E(codec.InvalidArgument))
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func ready(t testing.TB, values ...string) codec.Batch {
	var b codec.Builder
	for _, value := range values {
		b.Append(1000, nil, []byte(value), nil)
	}
	batch, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	return batch
}

var tp0 = codec.TopicPartition{Topic: "t", Partition: 0}

// A produce that left and was not answered is UNKNOWN, and is not sent again.
func TestAServerThatDiesLeavesTheOutcomeUnknown(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].hold = true
	addr, cut := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	done := make(chan error, 3)
	for range 3 {
		require.NoError(t, c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(_ codec.Produced, err error) { done <- err }))
	}
	for held := 0; held < 3; {
		m.topics["t"][0].mu.Lock()
		held = m.topics["t"][0].held
		m.topics["t"][0].mu.Unlock()
	}
	cut()
	for range 3 {
		err := <-done
		require.ErrorIs(t, err, codec.E(codec.Unknown))
		require.ErrorContains(t, err, "PRODUCE: connection to 127.0.0.1:")
	}
	require.Equal(t, 3, m.topics["t"][0].held)
	err := c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(codec.Produced, error) { t.Error("called") })
	require.ErrorIs(t, err, codec.E(codec.Unavailable), "nothing was sent")
}

func TestReadsGoOnWhenTheServerIsBack(t *testing.T) {
	m := newMemory("t", 1)
	addr, cut := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	cut()
	back := make(chan struct{})
	go func() {
		defer close(back)
		serve(t, m, addr)
	}()
	oldest, newest, err := c.Offsets(t.Context(), tp0)
	<-back
	require.NoError(t, err)
	require.Zero(t, oldest+newest)
}

func TestNotLeaderIsHeeded(t *testing.T) {
	second := newMemory("t", 1)
	there, _ := serve(t, second, "127.0.0.1:0")
	first := newMemory("t", 1)
	first.leader = there
	addr, _ := serve(t, first, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	_, _, err := c.Offsets(t.Context(), tp0)
	require.NoError(t, err, "the read was repeated at the leader")
	done := make(chan error, 1)
	require.NoError(t, c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(_ codec.Produced, err error) { done <- err }))
	require.NoError(t, <-done)
}

func TestContextEndsWaiting(t *testing.T) {
	m := newMemory("t", 1)
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	r := c.Read("t", []Span{{0, 0, Follow}}, ReadOptions{})
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := r.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAClosedClientSaysSo(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c, err := Dial(t.Context(), []string{addr}, Options{})
	require.NoError(t, err)
	c.Close()
	require.EqualError(t, c.Ping(t.Context()), "INVALID_ARGUMENT: the client is closed")
	c.Close()
}

// hostile runs script for each connection, after it swallowed the HELLO.
func hostile(t *testing.T, script func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var head [8]byte
			_, _ = io.ReadFull(c, head[:])
			_, _ = io.CopyN(io.Discard, c, int64(head[6])<<8|int64(head[7]))
			script(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

func TestServersThatLieAtHello(t *testing.T) {
	for says, answer := range map[string][]byte{
		"frame of 4294967295 bytes: at most 65536": {255, 255, 255, 255},
		"is it a broker?":                          nil,
		"msgpack at byte 0":                        {0, 0, 0, 1, 0xc1},
		"answered HELLO with protocol 9":           codec.EncodeResponse(nil, 1, &codec.Welcome{Protocol: 9}).Bytes(),
		"OVERLOADED: too many":                     codec.EncodeError(nil, 0, codec.Errorf(codec.Overloaded, "too many")).Bytes(),
		"HELLO with protocol 1":                    codec.EncodeResponse(nil, 77, &codec.Welcome{Protocol: 1}).Bytes(),
	} {
		addr := hostile(t, func(c net.Conn) { _, _ = c.Write(answer) })
		_, err := Dial(t.Context(), []string{addr}, Options{})
		require.ErrorContains(t, err, says)
	}
	silent := hostile(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	_, err := Dial(t.Context(), []string{silent}, Options{DialTimeout: 20 * time.Millisecond})
	require.ErrorIs(t, err, codec.E(codec.Unavailable))
}

func TestServersThatLieLater(t *testing.T) {
	welcome := codec.EncodeResponse(nil, 1, &codec.Welcome{Protocol: 1, FrameMax: 1 << 30, InFlightMax: 1 << 30}).Bytes()
	for says, answer := range map[string][]byte{
		"frame of 4294967295 bytes: at most 8388608": {255, 255, 255, 255},
		"msgpack":                             {0, 0, 0, 2, 0xdd, 0xff},
		"answer to request 500, which nobody": codec.EncodeResponse(nil, 500, codec.Empty{}).Bytes(),
		"STOPPING: bye":                       codec.EncodeError(nil, 0, codec.Errorf(codec.Stopping, "bye")).Bytes(),
		"the server closed it":                nil,
	} {
		addr := hostile(t, func(c net.Conn) {
			_, _ = c.Write(welcome)
			_, _ = c.Read(make([]byte, 4096)) // the request
			_, _ = c.Write(answer)
		})
		c := dial(t, Options{RetryFor: time.Nanosecond}, addr)
		done := make(chan error, 1)
		require.NoError(t, c.ProduceBatch(t.Context(), tp0, ready(t, "x"), func(_ codec.Produced, err error) { done <- err }))
		err := <-done
		require.ErrorIs(t, err, codec.E(codec.Unknown))
		require.ErrorContains(t, err, says)
	}
}

// A server whose batches do not go forward must not make a Reader go round.
func TestAReaderRefusesToGoRound(t *testing.T) {
	batch := ready(t, "again")
	for name, p := range map[string][]byte{"the same twice": append(append([]byte{}, batch...), batch...), "cut off": batch[:40]} {
		_, err := endOf(p, 0)
		require.Error(t, err, name)
	}
	end, err := endOf(batch, 0)
	require.NoError(t, err)
	require.Equal(t, codec.Offset(1), end)
}

func TestRequestsAboveTheFrameAreRefusedHere(t *testing.T) {
	addr, _ := serve(t, newMemory("t", 1), "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	err := c.ProduceBatch(t.Context(), tp0, ready(t, string(make([]byte, 9<<20))), nil)
	require.ErrorIs(t, err, codec.E(codec.FrameTooLarge))
	require.ErrorContains(t, err, "at most 8388608 are allowed")
	require.NoError(t, c.Ping(t.Context()))
}

func TestSlotsAreBounded(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].hold = true
	addr, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, addr)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n := 0
	var err error
	for ; err == nil; n++ {
		err = c.ProduceBatch(ctx, tp0, ready(t, fmt.Sprint(n)), func(codec.Produced, error) {})
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1023, n-1, "as HELLO allowed, short of the ping")
}

// Whoever gives up is told so, not only that no server answered.
func TestADialThatIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Dial(ctx, []string{"127.0.0.1:1"}, Options{})
	require.ErrorIs(t, err, context.Canceled)
}
