package client

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
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

// FuzzPushes lets a server push any bytes at all. A consumer gives records in
// the order of their offsets, or an error, whatever comes.
func FuzzPushes(f *testing.F) {
	subscribed := codec.EncodeResponse(nil, 2, &codec.Subscribed{Subscription: 5, HighWatermark: 2}).Bytes()
	second := ready(f, "y")
	second.Stamp(1, 1)
	data := func(b codec.Batch) []byte {
		return codec.EncodePush(nil, 5, codec.PushData, &codec.Fetched{HighWatermark: 2, Batches: b}).Bytes()
	}
	f.Add(slices.Concat(subscribed, data(ready(f, "x")), data(second)))
	f.Add(slices.Concat(subscribed, data(second), data(ready(f, "x"))))
	f.Add(slices.Concat(subscribed, data(ready(f, "x")[:70])))
	f.Add(slices.Concat(subscribed, codec.EncodeEnd(nil, 5, codec.E(codec.Stopping)).Bytes(), data(second)))
	f.Add(slices.Concat(data(second), subscribed, codec.EncodePush(nil, 5, codec.PushIdle, &codec.Idle{Next: 9}).Bytes()))
	f.Fuzz(pushesOf)
}

// pushesOf is one server that pushes stream.
func pushesOf(t *testing.T, stream []byte) {
	welcome := codec.EncodeResponse(nil, 1, &codec.Welcome{Protocol: 1, FrameMax: 1 << 20, InFlightMax: 4, Features: []string{codec.FeatureSubscribe}}).Bytes()
	here, there := net.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	asked, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		go func() {
			_, _ = io.CopyN(io.Discard, there, int64(len(codec.Magic)))
			frames := codec.NewFrameReader(there, 1<<20)
			_, _ = frames.Read(nil)
			_, _ = frames.Read(nil)
			close(asked)
			_, _ = io.Copy(io.Discard, there)
		}()
		_, _ = there.Write(welcome)
		<-asked
		_, _ = there.Write(stream)
		_ = there.Close()
	}()
	dialed := false
	c, err := Dial(ctx, []string{"fuzz"}, Options{Dial: func(context.Context, string) (net.Conn, error) {
		if dialed {
			<-over
			cancel() // nothing more will come
			return nil, io.ErrClosedPipe
		}
		dialed = true
		return here, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := bareConsumer(c)
	defer n.Close()
	for at := codec.Offset(0); ; {
		rs, err := n.Poll(ctx)
		var damaged *DamagedBatch
		if err != nil && !errors.As(err, &damaged) {
			return
		}
		for err == nil && rs.Next() {
			if o := rs.Record().Offset; o < at {
				t.Fatalf("offset %d behind %d", o, at)
			}
			at = rs.Record().Offset + 1
		}
	}
}

// bareConsumer follows a partition without having asked what there is.
func bareConsumer(c *Client) *Consumer {
	n := &Consumer{client: c, topic: "t", options: ConsumerOptions{}.withDefaults(), wake: make(chan struct{}, 1)}
	n.records.consumer = n
	n.ctx, n.cancel = context.WithCancel(context.Background())
	u := n.add(0, 0)
	u.pause.InitialInterval = time.Microsecond
	n.running.Go(u.follow)
	return n
}
