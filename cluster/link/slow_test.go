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

// A broker without room for a batch is there: it lets a service wait for a while, refuses
// the batch, and says meanwhile that it hears.
func TestABrokerWithoutRoomIsThere(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		const batches = 20
		n1 := s.start("n1", func(c *Config) {
			c.Window = codec.Window{Calls: 100, Bytes: 16 << 20}
			c.Serve = func(ctx context.Context, _ string, c *codec.Call, reply func(*codec.Reply)) func() {
				<-ctx.Done()
				r := &codec.Reply{}
				r.Fail(codec.Errorf(codec.Overloaded, "there is no room"))
				reply(r)
				return nil
			}
		})
		line, err := s.attach("billing")
		require.NoError(t, err)
		var calls []*codec.Call
		for i := range uint64(batches) {
			c := aCall(1 + i)
			c.Kind, c.Batch = codec.CallProduce, make(codec.Batch, codec.BatchHeaderBytes)
			calls = append(calls, c)
		}
		go func() { _ = line.Send(calls) }() // small ones: all are read at once, and none is answered
		for i := range uint64(batches) {
			r, err := line.Receive()
			require.NoError(t, err)
			require.Equal(t, 1+i, r.Number)
			require.Equal(t, codec.Overloaded, r.Code)
		}
		require.Empty(t, n1.Status().Refusals)
		line.Close()
	})
}

// Who has waited long for credit hears from the broker though nothing is answered.
func TestABrokerThatIsHeldUpSaysThatItIsThere(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		s.start("n1", func(c *Config) {
			c.Window = codec.Window{Calls: 100, Bytes: 16 << 20}
			c.Serve = func(ctx context.Context, _ string, c *codec.Call, reply func(*codec.Reply)) func() {
				time.Sleep(5 * time.Second) // and then it is let in, and its disk hangs
				return nil
			}
		})
		line, err := s.attach("billing")
		require.NoError(t, err)
		var calls []*codec.Call
		for i := range uint64(20) {
			c := aCall(1 + i)
			c.Kind, c.Batch = codec.CallProduce, make(codec.Batch, codec.BatchHeaderBytes)
			calls = append(calls, c)
		}
		ended := make(chan error, 1)
		go func() { _ = line.Send(calls) }()
		go func() {
			_, err := line.Receive()
			ended <- err
		}()
		s.pass(time.Minute)
		require.Empty(t, ended)
		line.Close()
		<-ended
	})
}

// A batch that waits when its line is lost is let go, and none behind it is stored: of a
// line's batches the first few are.
func TestNothingOvertakesOnALostLine(t *testing.T) {
	play(t, func(t *testing.T, s *troupe) {
		served := make(chan uint64, 10)
		back := make(chan func(*codec.Reply), 1)
		n1 := s.start("n1", func(c *Config) {
			c.Serve = func(ctx context.Context, _ string, c *codec.Call, reply func(*codec.Reply)) func() {
				served <- c.Number
				switch c.Number {
				case 1:
					back <- reply
				case 2: // there is no room for it
					<-ctx.Done()
				}
				return nil
			}
		})
		p, err := s.dial(addressOf("n1"), asService())
		require.NoError(t, err)
		var sends []byte
		for n := range uint64(3) {
			c := aCall(1 + n)
			if n > 0 {
				c.Kind, c.Batch = codec.CallProduce, make(codec.Batch, codec.BatchHeaderBytes)
			}
			sends = append(sends, framed(c.Encode())...)
		}
		p.put(sends)
		synctest.Wait()
		p.Close()
		(<-back)(&codec.Reply{})
		s.pass(time.Minute)
		require.Empty(t, n1.Status().Services)
		close(served)
		var numbers []uint64
		for n := range served {
			numbers = append(numbers, n)
		}
		require.Equal(t, []uint64{1, 2}, numbers)
	})
}
