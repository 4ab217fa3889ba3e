package gateway

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

var hostileFloods = []hostile{
	{"a flood of subscriptions", "a hundred on a connection that may have 32", func(h *house) {
		w := h.open()
		for i := range 100 {
			q := &codec.Subscribe{TopicPartition: tp0, Offset: h.end(0), Credit: 0}
			if i < hostileLimits.Subscriptions {
				w.call(q, &codec.Subscribed{})
				continue
			}
			require.Contains(h, w.refused(q), "TOO_MANY_SUBSCRIPTIONS: 32 subscriptions: at most 32")
		}
	}},
	{"subscribes and unsubscribes", "three thousand times", func(h *house) {
		w := h.open()
		for i := range 3000 {
			sub := w.subscribe(codec.Subscribe{TopicPartition: tp0, Offset: h.end(0), Credit: 100})
			require.Equal(h, uint32(i+1), sub)
			w.call(&codec.Unsubscribe{Subscription: sub}, &codec.Empty{})
		}
	}},
	{"a hundred thousand credits", "for a subscription and for none", func(h *house) {
		w := h.open()
		sub := w.subscribe(codec.Subscribe{TopicPartition: tp0, Offset: h.end(0), Credit: 0})
		one := codec.EncodeOneWay(nil, &codec.Credit{Subscription: sub, Bytes: codec.CreditMax}).Bytes()
		other := codec.EncodeOneWay(nil, &codec.Credit{Subscription: 1 << 31, Bytes: 1}).Bytes()
		many := []byte(strings.Repeat(string(one)+string(other), 1000))
		for range 50 {
			w.bytes(many)
		}
		w.call(&codec.Ping{}, &codec.Empty{})
	}},
	{"a flood of pings", "twenty thousand in one go, read", func(h *house) {
		w := h.open()
		many := []byte(strings.Repeat(string(codec.EncodeRequest(nil, 7, &codec.Ping{}).Bytes()), 20_000))
		go func() { _, _ = w.conn.Write(many) }()
		for range 20_000 {
			require.Equal(h, uint32(7), w.receive().ID)
		}
	}},
	{"a flood of topics", "makes and deletes forty, with long names", func(h *house) {
		w := h.open()
		for i := range 40 {
			name := codec.Topic(fmt.Sprintf("flood.%0240d", i))
			w.call(&codec.CreateTopic{Topic: name}, &codec.TopicDescription{})
			require.Contains(h, w.refused(&codec.CreateTopic{Topic: name}), "TOPIC_EXISTS")
			w.call(&codec.Produce{TopicPartition: codec.TopicPartition{Topic: name}, Batch: batchOf(h, 0, "x")}, &codec.Produced{})
			w.call(&codec.DeleteTopic{Topic: name}, &codec.Empty{})
		}
		require.LessOrEqual(h, len(h.server.Stats().Topics), 2, "what is counted by name is only what exists")
	}},
	{"a topic deleted under its subscribers", "thirty of them, waiting at its end", func(h *house) {
		w := h.open()
		gone := codec.TopicPartition{Topic: "gone"}
		w.call(&codec.CreateTopic{Topic: "gone"}, &codec.TopicDescription{})
		for range 30 {
			w.subscribe(codec.Subscribe{TopicPartition: gone, Credit: 100})
		}
		id := w.send(&codec.DeleteTopic{Topic: "gone"})
		for ends, answered := 0, false; ends < 30 || !answered; {
			e := w.receive()
			if e.Kind == codec.KindResponse {
				require.Equal(h, id, e.ID)
				answered = true
				continue
			}
			if e.Push == codec.PushIdle {
				continue
			}
			require.Equal(h, codec.PushEnd, e.Push)
			var end codec.Ended
			require.NoError(h, e.Decode(&end))
			require.Equal(h, codec.UnknownTopic, end.Code, "%v", end.Message)
			ends++
		}
	}},
	{"produces of rubbish without end", "two thousand batches that are refused", func(h *house) {
		w := h.open()
		bad := batchOf(h, 0, string(make([]byte, 50_000)))
		bad[100] ^= 1
		f := codec.EncodeRequest(nil, 7, &codec.Produce{TopicPartition: tp0, Batch: bad}).Bytes()
		go func() {
			for range 2000 {
				if _, err := w.conn.Write(f); err != nil {
					return
				}
			}
		}()
		for range 2000 {
			require.Equal(h, codec.CorruptBatch, w.receive().Code)
		}
	}},
}
