package session

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
		s := New(Limits{}.WithDefaults())
		s.ready = law.ready
		require.Equal(t, law.code, codec.CodeOf(s.Admit(&law.e)), name)
	}
	require.EqualError(t, CheckMagic([]byte("GET ")), `MALFORMED: connection opens with "GET ": want "TRP1"`)
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
		s := New(Limits{}.WithDefaults())
		w, err := s.Hello(&law.h)
		require.Equal(t, law.code, codec.CodeOf(err), name)
		require.Equal(t, law.frameMax, s.frameMax, name)
		require.Equal(t, err == nil, s.ready)
		if err == nil {
			require.Equal(t, law.frameMax, w.FrameMax)
			require.Empty(t, w.Features)
		}
	}
}

func TestFeaturesAreThoseOfBoth(t *testing.T) {
	w, err := New(Limits{}.WithDefaults()).Hello(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Features: []string{"compress-all", "subscribe"}})
	require.NoError(t, err)
	require.Equal(t, []string{"subscribe"}, w.Features)
}

func TestRoom(t *testing.T) {
	s := New(Limits{InFlight: 3, BytesInFlight: 100}.WithDefaults())
	require.True(t, s.Room(1000), "one may always pass")
	s.Take(1000)
	require.False(t, s.Room(1))
	s.Release(1, 1000)
	s.Take(40)
	s.Take(40)
	require.True(t, s.Room(20))
	require.False(t, s.Room(21))
	s.Take(20)
	require.False(t, s.Room(0), "three are in flight")
	s.Release(1, 40)
	require.True(t, s.Room(40))
}

// left are the turns behind t, in the order they leave.
func left(t *Turn) (all []*Turn) {
	for ; t != nil; t = t.Next() {
		all = append(all, t)
	}
	return all
}

// Answers leave in the order of the requests of their partition, whatever
// order they come in, and no partition waits for another.
func TestTurns(t *testing.T) {
	s := New(Limits{}.WithDefaults())
	a, b := codec.TopicPartition{Topic: "t", Partition: 0}, codec.TopicPartition{Topic: "t", Partition: 1}
	for range 3 { // lanes and turns are used again
		var a1, a2, b1, a3 Turn
		s.Open(&a1, a)
		s.Open(&a2, a)
		s.Open(&b1, b)
		s.Open(&a3, a)
		require.Empty(t, left(s.Settle(&a2)))
		require.Equal(t, []*Turn{&b1}, left(s.Settle(&b1)))
		require.Equal(t, []*Turn{&a1, &a2}, left(s.Settle(&a1)))
		s.Open(&a1, a)
		require.Empty(t, left(s.Settle(&a1)))
		require.Equal(t, []*Turn{&a3, &a1}, left(s.Settle(&a3)))
		require.Empty(t, s.lanes, "nothing is kept")
		require.Panics(t, func() { s.Settle(&a3) })
	}
	require.Len(t, s.spare, 2)
}

func TestTurnsCostNoMemory(t *testing.T) {
	s := New(Limits{}.WithDefaults())
	tp := codec.TopicPartition{Topic: "t"}
	var one, two Turn
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Open(&one, tp)
		s.Open(&two, tp)
		s.Settle(&two)
		s.Settle(&one)
	}))
}
