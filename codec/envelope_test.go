package codec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// fresh is an empty message of m's type.
func fresh(m Message) Message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message) }

func TestEveryMessageComesBack(t *testing.T) {
	for _, g := range goldenFrames(t) {
		e, err := ParseEnvelope(g.frame.Bytes()[4:])
		require.NoError(t, err, g.name)
		if g.want == nil {
			require.Error(t, e.Err(), g.name)
			continue
		}
		require.NoError(t, e.Err(), g.name)
		got := fresh(g.want)
		require.NoError(t, e.Decode(got), g.name)
		require.Equal(t, normal(g.want), normal(got), g.name)
	}
}

// normal makes empty and nil lists the same: the wire does not tell them apart.
func normal(m Message) string {
	p := pack(nil, m.pack)
	return hex.EncodeToString(p.Bytes())
}

// Trailing elements and unknown keys are how the protocol grows.
func TestWhatIsUnknownIsIgnored(t *testing.T) {
	for _, g := range goldenFrames(t) {
		var v []any
		require.NoError(t, msgpack.Unmarshal(g.frame.Bytes()[4:], &v))
		body := len(v) - 1
		switch b := v[body].(type) {
		case map[string]any:
			b["of tomorrow"] = []any{1, map[string]any{"x": nil}}
		case []any:
			if g.name != "fetch records" && g.name != "fetch" {
				for len(b) < 4 {
					b = append(b, nil)
				}
			}
			v[body] = append(b, "of tomorrow", nil)
		}
		p, err := msgpack.Marshal(append(v, "and more", 1))
		require.NoError(t, err)
		e, err := ParseEnvelope(p)
		require.NoError(t, err, g.name)
		if g.want == nil {
			require.NotErrorIs(t, e.Err(), E(Malformed))
			continue
		}
		got := fresh(g.want)
		require.NoError(t, e.Decode(got), g.name)
		require.Equal(t, normal(g.want), normal(got), g.name)
	}
}

func TestErrorsCross(t *testing.T) {
	cross := func(err error) error {
		e, bad := ParseEnvelope(EncodeError(nil, 9, err).Bytes()[4:])
		require.NoError(t, bad)
		require.Equal(t, uint32(9), e.ID)
		return e.Err()
	}
	want := &Error{NotLeader, "ask n2", "n2:9650"}
	require.Equal(t, want, cross(fmt.Errorf("produce: %w", want)))
	err := cross(errors.New("open /secret/path: no"))
	require.ErrorIs(t, err, E(Internal))
	require.NotContains(t, err.Error(), "secret", "what has no code stays inside")
}

func TestEnvelopesThatAreWrong(t *testing.T) {
	for name, law := range map[string]struct {
		v    any
		says string
	}{
		"a map":            {map[string]any{"a": 1}, "want an array"},
		"a number":         {1, "want an array"},
		"empty":            {[]any{}, "0 elements: want at least 3"},
		"kind 4":           {[]any{4, 1, 2, 3}, "kind of frame is 4"},
		"kind a word":      {[]any{"req", 1, 2, 3}, "want an integer"},
		"id negative":      {[]any{0, -1, 2, nil}, "id is -1"},
		"id of 33 bits":    {[]any{0, 1 << 33, 2, nil}, "id is"},
		"id of 64 bits":    {[]any{0, uint64(1 << 63), 2, nil}, "integer"},
		"id a float":       {[]any{0, 1.5, 2, nil}, "want an integer"},
		"op of 33 bits":    {[]any{0, 1, 1 << 33, nil}, "op is"},
		"op negative":      {[]any{0, 1, -1, nil}, "op is -1"},
		"no body":          {[]any{0, 1, 2}, "no body"},
		"answer sans body": {[]any{1, 1, 2}, "no body"},
	} {
		p, err := msgpack.Marshal(law.v)
		require.NoError(t, err)
		_, err = ParseEnvelope(p)
		require.ErrorIs(t, err, E(Malformed), name)
		require.ErrorContains(t, err, law.says, name)
	}
}

// Libraries older than bin send a batch as a str, and an op of tomorrow is an
// op all the same.
func TestWhatOlderAndNewerClientsSend(t *testing.T) {
	batch := string(build(t, NoCompression, Record{Value: []byte("v")}))
	p, err := msgpack.Marshal([]any{0, 1, 300, []any{"t", 0, batch}})
	require.NoError(t, err)
	e, err := ParseEnvelope(p)
	require.NoError(t, err)
	require.Equal(t, Op(300), e.Op)
	var produce Produce
	require.NoError(t, e.Decode(&produce))
	require.Equal(t, batch, string(produce.Batch))

	p, err = msgpack.Marshal([]any{1, 1, 0, []any{0, 1, batch}})
	require.NoError(t, err)
	e, err = ParseEnvelope(p)
	require.NoError(t, err)
	var fetched Fetched
	require.NoError(t, e.Decode(&fetched))
	require.Equal(t, batch, string(fetched.Batches))
}

func TestBodiesThatAreWrong(t *testing.T) {
	for name, law := range map[string]struct {
		into Message
		body any
		code Code
		says string
	}{
		"fetch a map":         {&Fetch{}, map[string]any{}, Malformed, "FETCH at byte 0: want an array"},
		"fetch too short":     {&Fetch{}, []any{"t", 0}, Malformed, "2 elements: want at least 5"},
		"negative offset":     {&Fetch{}, []any{"t", 0, -5, 10, 0}, InvalidArgument, "offset is -5"},
		"partition a word":    {&Fetch{}, []any{"t", "0", 5, 10, 0}, Malformed, "partition at byte"},
		"max bytes 0":         {&Fetch{}, []any{"t", 0, 5, 0, 0}, InvalidArgument, "max bytes is 0"},
		"credit below 0":      {&Credit{}, []any{1, -1}, InvalidArgument, "credit is -1: want 0 to 1073741824"},
		"credit too large":    {&Credit{}, []any{1, uint64(1 << 63)}, Malformed, "credit at byte"},
		"subscription 0":      {&Unsubscribe{}, []any{0}, InvalidArgument, "subscription is 0: want 1 to 4294967295"},
		"subscribe too short": {&Subscribe{}, []any{"t", 0, 5}, Malformed, "3 elements: want at least 4"},
		"mode 2":              {&Fetch{}, []any{"t", 0, 5, 1, 0, 0, 2}, InvalidArgument, "mode is 2: want 0 to 1"},
		"topic too long":      {&DeleteTopic{}, map[string]any{"topic": string(make([]byte, 300))}, InvalidArgument, "topic has 300 bytes: at most 249"},
		"hello a list":        {&Hello{}, []any{}, Malformed, "HELLO at byte 0: want a map"},
		"setting a number":    {&CreateTopic{}, map[string]any{"settings": map[string]any{"a": 1}}, Malformed, "setting a"},
		"records hold a word": {&Produce{}, []any{"t", 0, []any{"x"}}, Malformed, "record at byte"},
		"record too short":    {&Produce{}, []any{"t", 0, []any{[]any{1, nil}}}, Malformed, "record has 2 elements"},
		"time before -1":      {&Produce{}, []any{"t", 0, []any{[]any{-2, nil, nil}}}, InvalidArgument, "timestamp is -2"},
		"compression 5":       {&Produce{}, []any{"t", 0, []any{}, 5}, InvalidArgument, "compression is 5: want 0 to 4"},
		"not a uuid":          {&TopicDescription{}, map[string]any{"id": "x"}, InvalidArgument, "want a UUID"},
		"producer id below 0": {&ProducerIdentity{}, map[string]any{"producer_id": -1}, InvalidArgument, "producer_id is -1"},
		"producer id a word":  {&ProducerIdentity{}, map[string]any{"producer_id": "7"}, Malformed, "producer_id at byte"},
		"epoch of 16 bits":    {&ProducerIdentity{}, map[string]any{"epoch": 1 << 15}, InvalidArgument, "epoch is 32768: want 0 to 32767"},
		"found a number":      {&Offsets{}, map[string]any{"found": 1}, Malformed, "true or false"},
	} {
		p, err := msgpack.Marshal([]any{0, 1, 2, law.body})
		require.NoError(t, err)
		e, err := ParseEnvelope(p)
		require.NoError(t, err, name)
		err = e.Decode(law.into)
		require.Equal(t, law.code, CodeOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, law.says, name)
	}
}

// FuzzEnvelope gives every accepted frame to every message.
func FuzzEnvelope(f *testing.F) {
	kinds := goldenFrames(f)
	for _, g := range kinds {
		f.Add(g.frame.Bytes()[4:])
	}
	for _, p := range hostile {
		f.Add(p[:min(len(p), 4096)])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		e, err := ParseEnvelope(p)
		if err != nil {
			require.ErrorIs(t, err, E(Malformed))
			return
		}
		for _, g := range kinds {
			if g.want == nil {
				_ = e.Err()
				continue
			}
			m := fresh(g.want)
			if err := e.Decode(m); err != nil {
				if c := CodeOf(err); c != Malformed && c != InvalidArgument {
					t.Fatal(err)
				}
				continue
			}
			again := fresh(g.want) // what was understood can be said again
			require.NoError(t, unpack(pack(nil, m.pack).Bytes()[4:], again.unpack))
			require.Equal(t, normal(m), normal(again))
		}
	})
}
