package service

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Messages to a partition in the broker's process, and over a line on loopback to a
// broker in the same process.
//
//	go test ./service -run '^$' -bench . -benchtime 2s
func BenchmarkMessages(b *testing.B) {
	n1 := brokers(b, nil, "n1")["n1"]
	n1.create(b, "bookings", 1, 1)
	p := attach(b, Config{Brokers: []string{n1.address}})
	for name, c := range map[string]struct {
		system *actor.ActorSystem
		pid    *actor.PID
	}{
		"here": {n1.System(), n1.PID(codec.TopicPartition{Topic: "bookings"})},
		"line": {p.system, p.Partition("bookings", 0)},
	} {
		b.Run(name+"/ask", func(b *testing.B) {
			benchMessages(b, c.system, c.pid, 1, func() any { return &codec.AskBounds{} })
		})
		b.Run(name+"/ask-64", func(b *testing.B) {
			benchMessages(b, c.system, c.pid, 64, func() any { return &codec.AskBounds{} })
		})
		batch := batchOf(b, string(make([]byte, 64<<10)))
		b.Run(name+"/store-64KiB", func(b *testing.B) {
			b.SetBytes(int64(len(batch)))
			benchMessages(b, c.system, c.pid, 64, func() any { return &codec.Store{Batch: batch} })
		})
		b.Run(name+"/read-1MiB", func(b *testing.B) {
			b.SetBytes(1 << 20)
			benchMessages(b, c.system, c.pid, 4, func() any { return &codec.Read{Bytes: 1 << 20} })
		})
	}
}

// benchMessages keeps so many messages under way.
func benchMessages(b *testing.B, system *actor.ActorSystem, pid *actor.PID, most int, message func() any) {
	done := make(chan error, 1)
	sent, got := 0, 0
	actorPID := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		var err error
		switch m := c.Message().(type) {
		case *actor.Started:
			for ; sent < min(most, b.N); sent++ {
				c.Request(pid, message())
			}
			return
		case *codec.Bounds:
			err = m.Err
		case *codec.Stored:
			err = m.Err
		case *codec.Batches:
			err = m.Err
		default:
			return
		}
		if got++; err != nil || got == b.N {
			done <- err
			return
		}
		if sent < b.N {
			sent++
			c.Request(pid, message())
		}
	}))
	require.NoError(b, <-done)
	require.NoError(b, system.Root.StopFuture(actorPID).Wait())
}
