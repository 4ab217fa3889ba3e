package client

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Connections that are cut anywhere, in the middle of a push or an answer: a
// consumer gives each record once, in order.
func TestAConsumerWhoseConnectionsAreCut(t *testing.T) {
	for _, old := range []bool{false, true} {
		m := newMemory("t", 3)
		end := map[codec.Partition]codec.Offset{}
		for i, l := range m.topics["t"] {
			for range 60 {
				l.store(t, codec.NoCompression, 1, 20)
			}
			end[codec.Partition(i)] = 60 * 21
		}
		addr, _ := serve(t, m, "127.0.0.1:0")
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		s := newShears(t, addr, seed)
		s.long.Store(true)
		c := untilDialed(t, s)
		if old {
			asOld(c)
		}
		var n *Consumer
		for err := error(io.EOF); err != nil; {
			n, err = c.Consumer(t.Context(), "t", ConsumerOptions{BufferBytes: 6000})
		}
		drain(t, n, map[codec.Partition]codec.Offset{}, end)
		n.Close()
		c.Close()
		require.Greater(t, s.cuts.Load(), int32(3))
	}
}

// A consumer goes on at the next server where it was.
func TestAConsumerGoesOnAtTheNextServer(t *testing.T) {
	m := newMemory("t", 2)
	for _, l := range m.topics["t"] {
		for range 100 {
			l.store(t, codec.NoCompression, 10)
		}
	}
	a, cut := serve(t, m, "127.0.0.1:0")
	b, _ := serve(t, m, "127.0.0.1:0")
	c := dial(t, Options{}, a, b)
	n := consume(t, c, ConsumerOptions{BufferBytes: 4000})
	at := map[codec.Partition]codec.Offset{}
	drain(t, n, at, map[codec.Partition]codec.Offset{0: 500})
	cut()
	drain(t, n, at, map[codec.Partition]codec.Offset{0: 1000, 1: 1000})
}

// A connection that ends behind each single byte of what a server says: of its
// welcome, of metadata, of the answer to SUBSCRIBE, of pushes. A consumer goes
// on at the next one.
func TestAConnectionThatEndsBehindEachByte(t *testing.T) {
	m := newMemory("t", 1)
	m.topics["t"][0].store(t, codec.NoCompression, 3, 3)
	addr, _ := serve(t, m, "127.0.0.1:0")
	t.Run("bytes", func(t *testing.T) {
		for n := int64(1); n <= 700; n++ {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				s := newShearsAt(t, addr, n)
				c := untilDialed(t, s)
				k := consume(t, c, ConsumerOptions{})
				drain(t, k, map[codec.Partition]codec.Offset{}, map[codec.Partition]codec.Offset{0: 6})
				k.Close()
				c.Close()
			})
		}
	})
}
