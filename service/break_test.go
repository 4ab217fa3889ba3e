package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// brittle dials connections that break after some bytes in this or that direction, as a
// seed says.
type brittle struct {
	mu   sync.Mutex
	rng  *rand.Rand
	left int // connections that break
}

func (b *brittle) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || b.left == 0 {
		return c, err
	}
	b.left--
	return &brittleConn{Conn: c, in: 200 + b.rng.IntN(4000), out: 200 + b.rng.IntN(8000)}, nil
}

type brittleConn struct {
	net.Conn
	in, out int // bytes until it breaks
}

var errBroken = errors.New("it broke")

func (c *brittleConn) Read(p []byte) (int, error) {
	if c.in <= 0 {
		_ = c.Conn.Close()
		return 0, errBroken
	}
	n, err := c.Conn.Read(p[:min(len(p), c.in)])
	c.in -= n
	return n, err
}

func (c *brittleConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p[:min(len(p), max(0, c.out))])
	if c.out -= len(p); c.out <= 0 && err == nil {
		_ = c.Conn.Close()
		err = errBroken
	}
	return n, err
}

// Lines that break anywhere lose nothing and double nothing of an idempotent producer,
// and each message is answered once. TROUPE_SERVICE_SEED repeats where they break.
func TestLinesThatBreakAnywhere(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("TROUPE_SERVICE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("TROUPE_SERVICE_SEED=%d", seed)
	const messages, breaks = 400, 60
	b := brokers(t, nil, "n1")["n1"]
	b.create(t, "bookings", 1, 1)
	lines := &brittle{rng: rand.New(rand.NewPCG(seed, 1)), left: breaks}
	var p *program
	until(t, "an attachment", func() bool { // the first may break as well
		system := actor.NewActorSystem()
		a, err := Attach(t.Context(), system, Config{Name: "billing", Brokers: []string{b.address}, Dial: lines.dial})
		if err != nil {
			system.Shutdown()
			return false
		}
		p = &program{a, t, system}
		return true
	})
	defer p.system.Shutdown()
	defer p.Close()

	answers := make(chan any, messages)
	collector := p.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *codec.Stored, *codec.ProducerID, *codec.Bounds:
			answers <- m
		}
	}))
	pid, tag := p.Partition("bookings", 0), uint64(0)
	ask := func(message any) any {
		p.system.Root.RequestWithCustomSender(pid, message, collector)
		return wait(t, answers, "an answer")
	}
	var id int64
	until(t, "an id", func() bool {
		got := ask(&codec.AskProducer{}).(*codec.ProducerID)
		id = got.ID
		return got.Err == nil
	})
	unknown := 0
	for i := range messages {
		var w codec.Builder
		w.Append(0, nil, fmt.Append(nil, i), nil)
		batch, err := w.BuildUnsigned(codec.NoCompression)
		require.NoError(t, err)
		batch.SetProducer(id, 0, int32(i))
		until(t, "a batch to be stored", func() bool {
			tag++
			s := ask(&codec.Store{Tag: tag, Batch: batch}).(*codec.Stored)
			require.Equal(t, tag, s.Tag, "an answer to another message")
			switch code := codec.CodeOf(s.Err); {
			case code == codec.OK:
				require.Equal(t, codec.Offset(i), s.Base)
				return true
			case code == codec.Unknown:
				unknown++
			default:
				require.True(t, code.Retriable(), "%v", s.Err)
			}
			return false
		})
	}
	until(t, "the bounds", func() bool {
		got := ask(&codec.AskBounds{}).(*codec.Bounds)
		return got.Err == nil && got.HighWatermark == messages
	})
	require.Empty(t, answers)
	require.Less(t, lines.left, breaks-5, "some broke")
	t.Logf("%d lines broke, %d batches were UNKNOWN", breaks-lines.left, unknown)
}
