package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func envelope(kind codec.Kind, id uint32, op codec.Op) codec.Envelope {
	return codec.Envelope{Kind: kind, ID: id, Op: op}
}

func TestWhatMayCome(t *testing.T) {
	for name, law := range map[string]struct {
		ready bool
		e     codec.Envelope
		code  codec.Code
	}{
		"hello first":           {false, envelope(codec.KindRequest, 1, codec.OpHello), codec.OK},
		"fetch first":           {false, envelope(codec.KindRequest, 1, codec.OpFetch), codec.HelloFirst},
		"one-way first":         {false, envelope(codec.KindOneWay, 0, codec.OpPing), codec.Malformed},
		"a response":            {true, envelope(codec.KindResponse, 1, 0), codec.Malformed},
		"a push":                {true, envelope(codec.KindPush, 1, 0), codec.Malformed},
		"id 0":                  {true, envelope(codec.KindRequest, 0, codec.OpPing), codec.Malformed},
		"hello twice":           {true, envelope(codec.KindRequest, 2, codec.OpHello), codec.Malformed},
		"fetch after hello":     {true, envelope(codec.KindRequest, 2, codec.OpFetch), codec.OK},
		"unknown op after":      {true, envelope(codec.KindRequest, 2, 99), codec.OK},
		"one-way after: ignore": {true, envelope(codec.KindOneWay, 0, 99), codec.OK},
	} {
		s := newSession(Limits{}.withDefaults())
		s.ready = law.ready
		require.Equal(t, law.code, codec.CodeOf(s.admit(law.e)), name)
	}
	require.EqualError(t, checkMagic([]byte("GET ")), `MALFORMED: connection opens with "GET ": want "TRP1"`)
}

func TestHelloChooses(t *testing.T) {
	for name, law := range map[string]struct {
		h        codec.Hello
		code     codec.Code
		frameMax int
	}{
		"as we":          {codec.Hello{ProtocolMin: 1, ProtocolMax: 1}, codec.OK, 8 << 20},
		"newer too":      {codec.Hello{ProtocolMin: 1, ProtocolMax: 9}, codec.OK, 8 << 20},
		"only newer":     {codec.Hello{ProtocolMin: 2, ProtocolMax: 9}, codec.VersionUnknown, 64 << 10},
		"none":           {codec.Hello{}, codec.VersionUnknown, 64 << 10},
		"smaller frames": {codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 1 << 20}, codec.OK, 1 << 20},
		"tiny frames":    {codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 1}, codec.OK, 64 << 10},
		"huge frames":    {codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 1 << 30}, codec.OK, 8 << 20},
	} {
		s := newSession(Limits{}.withDefaults())
		w, err := s.hello(law.h, Identity{Node: "n1"})
		require.Equal(t, law.code, codec.CodeOf(err), name)
		require.Equal(t, law.frameMax, s.frameMax, name)
		require.Equal(t, err == nil, s.ready)
		if err == nil {
			require.Equal(t, law.frameMax, w.FrameMax)
		}
	}
}

func TestRoom(t *testing.T) {
	s := newSession(Limits{InFlight: 3, BytesInFlight: 100}.withDefaults())
	require.True(t, s.room(1000), "one may always pass")
	s.take(1000)
	require.False(t, s.room(1))
	s.release(1000)
	s.take(40)
	s.take(40)
	require.True(t, s.room(20))
	require.False(t, s.room(21))
	s.take(20)
	require.False(t, s.room(0), "three are in flight")
	s.release(40)
	require.True(t, s.room(40))
}

// Answers leave in the order of the requests of their partition, whatever
// order they come in, and no partition waits for another.
func TestTurns(t *testing.T) {
	s := newSession(Limits{}.withDefaults())
	a, b := codec.TopicPartition{Topic: "t", Partition: 0}, codec.TopicPartition{Topic: "t", Partition: 1}
	a1, a2, b1, a3 := s.open(a, 1), s.open(a, 2), s.open(b, 3), s.open(a, 4)
	require.Empty(t, s.settle(a2, codec.Frame{}))
	require.Equal(t, []*turn{b1}, s.settle(b1, codec.Frame{}))
	require.Equal(t, []*turn{a1, a2}, s.settle(a1, codec.Frame{}))
	require.Equal(t, []*turn{a3}, s.settle(a3, codec.Frame{}))
	require.Empty(t, s.lanes, "nothing is kept")
	require.Panics(t, func() { s.settle(a3, codec.Frame{}) })
}
