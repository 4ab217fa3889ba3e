package link

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// slowConn takes and brings 100 KB in a second.
type slowConn struct{ net.Conn }

const slowAtOnce = 10_000

func (c slowConn) Read(p []byte) (int, error) {
	time.Sleep(slowAtOnce * time.Second / 100_000)
	return c.Conn.Read(p[:min(len(p), slowAtOnce)])
}

func (c slowConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		time.Sleep(slowAtOnce * time.Second / 100_000)
		var some int
		some, err = c.Conn.Write(p[n:min(len(p), n+slowAtOnce)])
		n += some
	}
	return n, err
}

// A line may be slow: what is large takes longer than a silence may be, and whoever takes
// it, however slowly, is there.
func TestASlowLine(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		n1, a := s.host(wide)
		dial := s.net.dialFrom("billing")
		line, err := Caller{Name: "billing", Life: 7, Dial: func(ctx context.Context, address string) (net.Conn, error) {
			c, err := dial(ctx, address)
			return slowConn{c}, err
		}}.Attach(t.Context(), addressOf("n1"))
		require.NoError(t, err)
		got, ended := make(chan *codec.Reply, 10), make(chan error, 1)
		go func() {
			for {
				r, err := line.Receive()
				if err != nil {
					ended <- err
					return
				}
				got <- r
			}
		}()
		store, read := aCall(1), aCall(2)
		store.Kind, store.Batch = codec.CallProduce, make(codec.Batch, 4<<20)
		read.Kind, read.Bytes = codec.CallRead, 4<<20
		require.NoError(t, line.Send([]*codec.Call{store, read}), "it takes 42 s")
		synctest.Wait()
		calls, reply, _ := a.take()
		require.Len(t, calls, 2)
		reply[0](&codec.Reply{Offset: 3})
		require.Equal(t, codec.Offset(3), (<-got).Offset)
		reply[1](&codec.Reply{Batches: make([]byte, 4<<20)})
		for range 60 {
			require.NoError(t, line.Send(nil))
			s.pass(HereEvery)
		}
		require.Empty(t, ended)
		require.Len(t, (<-got).Batches, 4<<20)
		require.Empty(t, n1.Status().Refusals)
		line.Close()
		<-ended
	})
}
