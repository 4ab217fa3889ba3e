package client

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// FuzzServer lets a server send any bytes at all, behind a good HELLO or
// instead of it. Whatever it says, everyone who waits is told something.
func FuzzServer(f *testing.F) {
	welcome := codec.EncodeResponse(nil, 1, &codec.Welcome{Protocol: 1, FrameMax: 1 << 20, InFlightMax: 4}).Bytes()
	answer := func(id uint32, m codec.Message) []byte { return codec.EncodeResponse(nil, id, m).Bytes() }
	f.Add(true, answer(2, &codec.Produced{Base: 4}))
	f.Add(true, append(answer(3, &codec.Fetched{HighWatermark: 1, Batches: ready(f, "x")}), answer(2, &codec.Produced{})...))
	f.Add(true, answer(3, &codec.Fetched{HighWatermark: 9, Batches: ready(f, "x")[:70]}))
	f.Add(true, codec.EncodeError(nil, 0, codec.E(codec.Stopping)).Bytes())
	f.Add(true, []byte{255, 255, 255, 255, 1})
	f.Add(false, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, greets bool, stream []byte) {
		here, there := net.Pipe()
		go func() {
			go func() { _, _ = io.Copy(io.Discard, there) }()
			if greets {
				_, _ = there.Write(welcome)
			}
			_, _ = there.Write(stream)
			_ = there.Close()
		}()
		dialed := false
		o := Options{RetryFor: time.Nanosecond, Dial: func(context.Context, string) (net.Conn, error) {
			if dialed {
				return nil, io.ErrClosedPipe
			}
			dialed = true
			return here, nil
		}}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := Dial(ctx, []string{"fuzz"}, o)
		if err != nil {
			return
		}
		defer c.Close()
		told := make(chan struct{})
		if c.ProduceBatch(ctx, tp0, ready(t, "x"), func(codec.Produced, error) { close(told) }) != nil {
			close(told)
		}
		r := c.Read("t", []Span{{0, 0, 2}}, ReadOptions{})
		defer r.Close()
		for range 5 {
			if _, _, err := r.Next(ctx); err != nil && codec.CodeOf(err) != codec.CorruptBatch {
				break
			}
		}
		select {
		case <-told:
		case <-ctx.Done():
			t.Fatal("nobody told the producer")
		}
	})
}
