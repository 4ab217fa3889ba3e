package link

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Letters from one link to another over loopback, beside a plain TCP
// connection that carries as many bytes in writes of the same size: read into
// the same 64 KiB again and again, and into new memory for each, as letters
// are. What the link costs is the ratio of two lines.
//
//	go test ./cluster/link -run '^$' -bench . -benchtime 2s
func BenchmarkLetters(b *testing.B) {
	for _, c := range []struct {
		name  string
		bytes int
	}{{"100B", 100}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}} {
		b.Run(c.name+"/link", func(b *testing.B) { benchLink(b, c.bytes, nil) })
		b.Run(c.name+"/tls", func(b *testing.B) {
			a := newAuthority(b)
			benchLink(b, c.bytes, func(c *Config) { c.TLS = a.credentials(codec.RoleBroker, string(c.Self.Node)) })
		})
		b.Run(c.name+"/plain-new", func(b *testing.B) { benchPlain(b, c.bytes, func() []byte { return make([]byte, c.bytes) }) })
		b.Run(c.name+"/plain", func(b *testing.B) {
			buf := make([]byte, 64<<10)
			benchPlain(b, c.bytes, func() []byte { return buf })
		})
	}
}

func benchLink(b *testing.B, size int, change func(*Config)) {
	// As raft does, no more is under way than was answered for: 8 MiB, or
	// 10,000 letters.
	window := make(chan struct{}, max(4, min(10_000, 8<<20/size)))
	var heard atomic.Int64
	done := make(chan struct{})
	one := start(b, "n1", "127.0.0.1:0", change)
	two := start(b, "n2", "127.0.0.1:0", func(c *Config) {
		if change != nil {
			change(c)
		}
		c.Hear = func(codec.NodeID, []byte) {
			<-window
			if heard.Add(1) == int64(b.N) {
				close(done)
			}
		}
	})
	one.SetPeers(map[codec.NodeID]string{"n2": two.address})
	one.upTo(b, "n2")
	lanes := (*one.routes.Load())["n2"]
	payload := make([]byte, size)
	lane := lanes[codec.LaneOf([][]byte{payload})]
	b.SetBytes(int64(size))
	b.ResetTimer()
	for range b.N {
		window <- struct{}{}
		one.Send("n2", [][]byte{payload})
	}
	<-done
	b.StopTimer()
	lane.queue.mu.Lock()
	require.Zero(b, lane.queue.lost)
	lane.queue.mu.Unlock()
	report(b)
}

func benchPlain(b *testing.B, size int, memory func() []byte) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		left := int64(b.N) * int64(size)
		for left > 0 && err == nil {
			buf := memory()
			var n int
			n, err = io.ReadFull(c, buf[:min(int64(len(buf)), left)])
			left -= int64(n)
		}
		if err == io.EOF && left > 0 {
			err = fmt.Errorf("%d bytes did not come", left)
		}
		done <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	defer c.Close()
	payload := make([]byte, size)
	b.SetBytes(int64(size))
	b.ResetTimer()
	for range b.N {
		_, err := c.Write(payload)
		require.NoError(b, err)
	}
	require.NoError(b, <-done)
	b.StopTimer()
	report(b)
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}
