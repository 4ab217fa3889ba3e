package gateway

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// refusal is a request that is refused, after which the connection goes on.
type refusal struct {
	body []any
	says string
}

// packed is v as msgpack, for what no message of codec can say.
func packed(v any) []byte {
	switch v := v.(type) {
	case int:
		return binary.BigEndian.AppendUint64([]byte{0xd3}, uint64(v))
	case uint32:
		return binary.BigEndian.AppendUint32([]byte{0xce}, v)
	case string:
		return append([]byte{0xd9, byte(len(v))}, v...)
	case []any:
		out := []byte{0x90 | byte(len(v))}
		for _, one := range v {
			out = append(out, packed(one)...)
		}
		return out
	}
	panic("packed: what is that?")
}

// asking is a hostile client whose requests are each refused.
func asking(name, says string, op codec.Op, all ...refusal) hostile {
	return hostile{name, says, func(h *house) {
		w := h.open()
		for _, r := range all {
			w.id++
			w.bytes(frame(packed([]any{0, int(w.id), int(op), r.body})...))
			e := w.receive()
			require.Equal(h, w.id, e.ID)
			require.ErrorContains(h, e.Err(), r.says, "%v", r.body)
		}
		w.call(&codec.Ping{}, &codec.Empty{})
	}}
}

var hostileBodies = []hostile{
	asking("fetch of impossible sizes", "max_bytes of 2^31, -1 and 0", codec.OpFetch,
		refusal{[]any{"t", 0, 0, 1 << 31, 0}, "INVALID_ARGUMENT: max bytes is 2147483648"},
		refusal{[]any{"t", 0, 0, -1, 0}, "INVALID_ARGUMENT: max bytes is -1"},
		refusal{[]any{"t", 0, 0, 0, 0}, "INVALID_ARGUMENT: max bytes is 0"}),
	asking("fetch that would wait for ever", "max_wait below zero and of 2^40", codec.OpFetch,
		refusal{[]any{"t", 0, 0, 1, -1}, "INVALID_ARGUMENT: max wait is -1"},
		refusal{[]any{"t", 0, 0, 1, 1 << 40}, "INVALID_ARGUMENT: max wait is 1099511627776"}),
	asking("places that are none", "negative and huge offsets and partitions", codec.OpFetch,
		refusal{[]any{"t", 0, -1, 1, 0}, "INVALID_ARGUMENT: offset is -1"},
		refusal{[]any{"t", 0, math.MinInt64, 1, 0}, "INVALID_ARGUMENT: offset is"},
		refusal{[]any{"t", -1, 0, 1, 0}, "INVALID_ARGUMENT: partition is -1"},
		refusal{[]any{"t", 1 << 40, 0, 1, 0}, "INVALID_ARGUMENT: partition is"},
		refusal{[]any{"t", 77, 0, 1, 0}, "UNKNOWN_PARTITION"},
		refusal{[]any{"t", 0, math.MaxInt64, 1, 0}, "OFFSET_OUT_OF_RANGE"}),
	asking("subscribing to nowhere", "offsets, modes, credit and topics that do not exist", codec.OpSubscribe,
		refusal{[]any{"t", 0, -5, 10}, "INVALID_ARGUMENT: offset is -5"},
		refusal{[]any{"t", 0, math.MaxInt64, 10}, "OFFSET_OUT_OF_RANGE"},
		refusal{[]any{"t", 0, 0, -1}, "INVALID_ARGUMENT: credit is -1"},
		refusal{[]any{"t", 0, 0, 1 << 40}, "INVALID_ARGUMENT: credit is"},
		refusal{[]any{"t", 0, 0, 10, 9}, "INVALID_ARGUMENT: mode is 9"},
		refusal{[]any{"none", 0, 0, 10}, "UNKNOWN_TOPIC"}),
	asking("unsubscribing what was never", "numbers that were not given out", codec.OpUnsubscribe,
		refusal{[]any{1}, "INVALID_ARGUMENT: there never was a subscription 1"},
		refusal{[]any{uint32(math.MaxUint32)}, "INVALID_ARGUMENT: there never was a subscription 4294967295"},
		refusal{[]any{0}, "INVALID_ARGUMENT: subscription is 0"}),
	{"credit as a request", "wants an answer to what has none", func(h *house) {
		require.Contains(h, h.open().refused(&codec.Credit{Subscription: 1}), "INVALID_ARGUMENT: CREDIT is a one-way")
	}},
	{"negative credit", "takes back what it granted", func(h *house) {
		w := h.open()
		w.bytes(frame(0x93, 3, 25, 0x92, 1, 0xff))
		w.told(0, codec.InvalidArgument, "credit is -1")
	}},
	{"credit that overflows", "grants a gigabyte a hundred times", func(h *house) {
		w := h.open()
		sub := w.subscribe(codec.Subscribe{TopicPartition: tp0, Credit: codec.CreditMax, Offset: h.end(0)})
		for range 100 {
			w.grant(sub, codec.CreditMax)
		}
		w.call(&codec.Ping{}, &codec.Empty{})
		require.LessOrEqual(h, h.server.Stats().CreditBytes, int64(codec.CreditMax+(64<<10)))
	}},
	{"topics that are paths", "names that would leave the directory", func(h *house) {
		w := h.open()
		for _, name := range []codec.Topic{"../../etc/passwd", "..", ".", "", "/", "a/b", "a\\b", "a\x00b", "ä", "a b", codec.Topic(strings.Repeat("x", 249)) + "/"} {
			require.Regexp(h, "INVALID_TOPIC|INVALID_ARGUMENT", w.refused(&codec.CreateTopic{Topic: name}), "%q", name)
			require.Regexp(h, "UNKNOWN_TOPIC|INVALID_ARGUMENT", w.refused(&codec.DeleteTopic{Topic: name}), "%q", name)
			require.Regexp(h, "UNKNOWN_TOPIC|INVALID_ARGUMENT", w.refused(&codec.Fetch{TopicPartition: codec.TopicPartition{Topic: name}, MaxBytes: 1}), "%q", name)
		}
	}},
	{"topics of the broker's own", "produces to, reads, makes and deletes internal topics", func(h *house) {
		w := h.open()
		own := codec.TopicPartition{Topic: "__metadata"}
		require.Contains(h, w.refused(&codec.Produce{TopicPartition: own, Batch: batchOf(h, 0, "x")}), "UNKNOWN_TOPIC")
		require.Contains(h, w.refused(&codec.Fetch{TopicPartition: own, MaxBytes: 1}), "UNKNOWN_TOPIC")
		require.Contains(h, w.refused(&codec.Subscribe{TopicPartition: own}), "UNKNOWN_TOPIC")
		require.Contains(h, w.refused(&codec.CreateTopic{Topic: "__metadata"}), "INVALID_TOPIC")
		require.NotEmpty(h, w.refused(&codec.DeleteTopic{Topic: "__metadata"}))
	}},
	{"a topic of a billion partitions", "and of a billion replicas", func(h *house) {
		w := h.open()
		for _, q := range []*codec.CreateTopic{{Topic: "big", Partitions: 1e9}, {Topic: "big", Replicas: 1 << 14}, {Topic: "big", Partitions: math.MaxInt32}} {
			require.Regexp(h, "INVALID_|UNAVAILABLE", w.refused(q))
		}
	}},
	{"settings without end", "creates topics with thousands of settings, each long", func(h *house) {
		w := h.open()
		settings := map[string]string{}
		for i := range 2000 {
			settings[fmt.Sprintf("setting.%d", i)] = strings.Repeat("x", 1000)
		}
		for range 20 {
			require.Contains(h, w.refused(&codec.CreateTopic{Topic: "big", Settings: settings}), "INVALID_SETTING")
		}
		require.Contains(h, w.refused(&codec.CreateTopic{Topic: "big", Settings: map[string]string{"retention.time": strings.Repeat("9", 1<<20)}}), "INVALID_ARGUMENT")
	}},
	{"a thousand names of 249 bytes", "asks for the metadata of what does not exist", func(h *house) {
		w := h.open()
		var q codec.MetadataQuery
		for i := range 1000 {
			q.Topics = append(q.Topics, codec.Topic(fmt.Sprintf("%0249d", i)))
		}
		for range 20 {
			var m codec.Metadata
			w.call(&q, &m)
			require.Len(h, m.Topics, 1000)
			require.Equal(h, codec.UnknownTopic, m.Topics[0].Code)
		}
		q.Topics = append(q.Topics, "one more")
		require.Contains(h, w.refused(&q), "METADATA of 1001 topics")
	}},
	{"trims of everything", "trims above the end and below zero", func(h *house) {
		w := h.open()
		require.Regexp(h, "OFFSET_OUT_OF_RANGE|INVALID_ARGUMENT", w.refused(&codec.Trim{TopicPartition: tp0, Before: math.MaxInt64}))
		require.Contains(h, w.refused(&codec.Trim{TopicPartition: tp0, Before: -1}), "INVALID_ARGUMENT")
	}},
	{"times at the edge", "looks for the first and last moments of 64 bits", func(h *house) {
		w := h.open()
		for _, at := range []codec.Millis{math.MaxInt64, 0, 1} {
			w.call(&codec.OffsetsQuery{TopicPartition: tp0, Time: at, HasTime: true}, &codec.Offsets{})
		}
		w.send(&codec.OffsetsQuery{TopicPartition: tp0, Time: math.MinInt64, HasTime: true})
		w.receive() // either way
		w.call(&codec.Ping{}, &codec.Empty{})
	}},
}

// end is the end of a partition of t.
func (h *house) end(p codec.Partition) codec.Offset {
	h.Helper()
	at, err := h.broker.Partition(codec.TopicPartition{Topic: "t", Partition: p})
	require.NoError(h, err)
	_, high, err := at.Bounds()
	require.NoError(h, err)
	return high
}
