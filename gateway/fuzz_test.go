package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// goldenRequests are the frames of docs/protocol/frames.json.
func goldenRequests(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile("../docs/protocol/frames.json")
	require.NoError(t, err)
	var pages []struct{ Hex string }
	require.NoError(t, json.Unmarshal(text, &pages))
	var all [][]byte
	for _, p := range pages {
		one, err := hex.DecodeString(p.Hex)
		require.NoError(t, err)
		all = append(all, one)
	}
	return all
}

// fuzzLimits are so small that they are met.
var fuzzLimits = Limits{
	Connections: 1, InFlight: 8, BytesInFlight: 64 << 10, BytesInFlightAll: 1, AnswerBytes: 64 << 10, Subscriptions: 3, Hurry: time.Millisecond,
	Handshake: 30 * time.Millisecond, Frame: 20 * time.Millisecond, Idle: 30 * time.Millisecond, Write: 100 * time.Millisecond,
	FetchWait: 2 * time.Millisecond, Heartbeat: time.Millisecond,
}

// FuzzConnection gives a whole connection any bytes at all, in pieces of any
// size. It must not panic, hang or leave anything behind, and what it answers
// must parse, answer a request that may have been asked, or be a push of a
// subscription that it told of.
func FuzzConnection(f *testing.F) {
	greeting := withMagic(hello)
	with := func(frames ...[]byte) []byte { return append(bytes.Clone(greeting), bytes.Join(frames, nil)...) }
	asked := func(rs ...codec.Request) []byte {
		var frames [][]byte
		for i, r := range rs {
			frames = append(frames, codec.EncodeRequest(nil, uint32(i+2), r).Bytes())
		}
		return with(frames...)
	}
	f.Add([]byte{}, uint64(0))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint64(1))
	f.Add(with([]byte{255, 255, 255, 255}), uint64(2))
	f.Add(with(ping(declared(0xdd, 1<<32-1)...)), uint64(3))
	f.Add(with(frame(bytes.Repeat([]byte{0x91}, 3000)...)), uint64(4))
	f.Add(with(goldenRequests(f)[2:]...), uint64(5))
	for i, one := range goldenRequests(f) {
		f.Add(with(one, ping(0x80)), uint64(i))
	}
	batch := batchOf(f, codec.NoCompression, "a", "b")
	f.Add(asked(&codec.Produce{TopicPartition: tp0, Batch: batch}, &codec.Fetch{TopicPartition: tp0, MaxBytes: 1000, Mode: codec.FetchRecords}), uint64(6))
	f.Add(asked(&codec.Produce{TopicPartition: tp0, Records: []codec.Record{{Value: []byte("v")}}, Compression: codec.LZ4}, &codec.Ping{}), uint64(7))
	f.Add(asked(&codec.CreateTopic{Topic: "n"}, &codec.DescribeTopic{Topic: "n"}, &codec.OffsetsQuery{TopicPartition: tp0}, &codec.MetadataQuery{}, &codec.Trim{TopicPartition: tp0}), uint64(8))
	f.Add(asked(&codec.Fetch{TopicPartition: tp0, MaxBytes: 1, MaxWait: 3, MinBytes: 1 << 20}), uint64(9))
	f.Add(append(asked(&codec.Subscribe{TopicPartition: tp0, Credit: 70}, &codec.Produce{TopicPartition: tp0, Batch: batch}, &codec.Unsubscribe{Subscription: 1}),
		codec.EncodeOneWay(nil, &codec.Credit{Subscription: 1, Bytes: 1 << 20}).Bytes()...), uint64(10))
	f.Add(append(asked(&codec.Subscribe{TopicPartition: tp0, Credit: 1, Mode: codec.FetchRecords}), codec.EncodeOneWay(nil, &codec.Credit{Subscription: 1, Bytes: 1}).Bytes()...), uint64(11))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		b := newFakeBroker("t", 1)
		b.create("bookings", 3) // of the golden frames
		b.at("t", 0).store(batchOf(t, codec.Gzip, "here", "already"))
		s := New(b, Options{Limits: fuzzLimits})
		here, there := net.Pipe()
		s.welcome(there)
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			listen(t, here)
		}()
		dribble(here, stream, seed)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Fatal(err)
		}
		_ = here.Close()
		<-heard
		st := s.Stats()
		require.Zero(t, st.Connections+st.InFlightBytes+st.InFlightRequests+st.AnswerBytes+st.Subscriptions, "%+v", st)
		require.Zero(t, b.at("t", 0).waiting(), "somebody still waits at the end of the log")
	})
}

// dribble sends stream in pieces; it ends when the gateway has hung up.
func dribble(to net.Conn, stream []byte, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, 0))
	most := 1 + chance.IntN(1+len(stream))
	for len(stream) > 0 {
		n := min(len(stream), 1+chance.IntN(most))
		if _, err := to.Write(stream[:n]); err != nil {
			return
		}
		stream = stream[n:]
	}
}

// listen holds the gateway to its protocol until it hangs up.
func listen(t *testing.T, from net.Conn) {
	in := codec.NewFrameReader(from, codec.FrameMax)
	told := uint32(0) // the latest subscription
	for {
		p, err := in.Read(nil)
		if err != nil {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		e, err := codec.ParseEnvelope(p)
		switch {
		case err != nil:
			t.Errorf("the gateway sent %x: %v", p, err)
		case e.Kind == codec.KindResponse && e.Code == codec.OK:
			var a codec.Subscribed
			if e.Decode(&a) == nil { // an answer to something else may look like it; then told is only too large
				told = max(told, a.Subscription)
			}
		case e.Kind == codec.KindPush:
			m := map[codec.PushKind]codec.Message{codec.PushData: new(codec.Fetched), codec.PushEnd: new(codec.Ended), codec.PushIdle: new(codec.Idle)}[e.Push]
			if m == nil || e.Decode(m) != nil || e.ID > told {
				t.Errorf("the gateway pushed %x, the latest subscription is %d", p, told)
			}
		case e.Kind != codec.KindResponse:
			t.Errorf("the gateway sent a frame of kind %d: %x", e.Kind, p)
		}
	}
}
