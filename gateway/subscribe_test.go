package gateway

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// subscribe opens a subscription and returns its number.
func (w *wire) subscribe(q codec.Subscribe) uint32 {
	w.t.Helper()
	var a codec.Subscribed
	w.call(&q, &a)
	return a.Subscription
}

func (w *wire) grant(sub uint32, bytes int64) {
	w.t.Helper()
	w.bytes(codec.EncodeOneWay(nil, &codec.Credit{Subscription: sub, Bytes: bytes}).Bytes())
}

// pushed is the next frame, which must be a push of the kind.
func (w *wire) pushed(sub uint32, kind codec.PushKind, into codec.Message) {
	w.t.Helper()
	e := w.receive()
	require.Equal(w.t, codec.KindPush, e.Kind)
	require.Equal(w.t, sub, e.ID)
	require.Equal(w.t, kind, e.Push)
	require.NoError(w.t, e.Decode(into))
}

// data is the next push of records.
func (w *wire) data(sub uint32) *codec.Fetched {
	w.t.Helper()
	var f codec.Fetched
	w.pushed(sub, codec.PushData, &f)
	return &f
}

func TestSubscribeSendsWhatIsThereAndWhatComes(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.store(batchOf(t, 0, "a", "b"))
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	var a codec.Subscribed
	w.call(&codec.Subscribe{TopicPartition: tp0, Credit: 1 << 20}, &a)
	require.Equal(t, codec.Subscribed{Subscription: 1, Start: 0, HighWatermark: 2}, a)
	f := w.data(1)
	require.Equal(t, codec.Offset(2), f.HighWatermark)
	for i := range 20 {
		until(t, "it waits", func() bool { return p.waiting() == 1 })
		p.store(batchOf(t, codec.Zstd, fmt.Sprint(i)))
		f = w.data(1)
		one, rest, err := codec.NextBatch(f.Batches)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, codec.Offset(2+i), one.BaseOffset())
	}
	w.call(&codec.Unsubscribe{Subscription: 1}, &codec.Empty{})
	require.Zero(t, p.waiting())
	p.store(batchOf(t, 0, "nobody hears"))
	w.call(&codec.Ping{}, &codec.Empty{})
}

func TestSubscribeSendsDecodedRecords(t *testing.T) {
	b := newFakeBroker("t", 1)
	b.at("t", 0).store(batchOf(t, codec.Gzip, "a", "b", "c"))
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	w.subscribe(codec.Subscribe{TopicPartition: tp0, Offset: 1, Credit: 1, Mode: codec.FetchRecords})
	f := w.data(1)
	require.Len(t, f.Records, 1, "one comes whatever the credit")
	require.Equal(t, "b", string(f.Records[0].Value))
	require.Positive(t, f.Bytes())
	w.call(&codec.Ping{}, &codec.Empty{})
	w.grant(1, int64(f.Bytes()))
	f = w.data(1)
	require.Equal(t, "c", string(f.Records[0].Value))
}

// The log is read only while there is credit, and never more of it than that
// and one batch.
func TestSubscribeIsNeverOverrun(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	one := batchOf(t, 0, string(make([]byte, 1000)))
	for range 50 {
		p.store(one)
	}
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	credit := int64(2*len(one) + 10)
	w.subscribe(codec.Subscribe{TopicPartition: tp0, Credit: credit})
	next, open := codec.Offset(0), credit
	for next < 50 {
		require.Positive(t, open, "it was sent without credit")
		f := w.data(1)
		open -= int64(f.Bytes())
		require.Greater(t, open, -int64(len(one)), "more than one batch above the credit")
		for rest := f.Batches; len(rest) > 0; {
			got, more, err := codec.NextBatch(rest)
			require.NoError(t, err)
			require.Equal(t, next, got.BaseOffset(), "nothing is dropped")
			next, rest = next+1, more
		}
		if open <= 0 {
			w.call(&codec.Ping{}, &codec.Empty{}) // and no push before it
			w.grant(1, credit-open)
			open = credit
		}
	}
}

// A subscription that always has something to push holds up neither answers
// nor another subscription.
func TestAFirehoseStarvesNobody(t *testing.T) {
	b := newFakeBroker("t", 2)
	for i := range 200 {
		b.at("t", 0).store(batchOf(t, 0, string(make([]byte, 100_000))))
		b.at("t", 1).store(batchOf(t, 0, fmt.Sprint(i), string(make([]byte, 100_000))))
	}
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	w.subscribe(codec.Subscribe{TopicPartition: tp0, Credit: codec.CreditMax})
	w.send(&codec.Subscribe{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Credit: codec.CreditMax})
	ping := w.send(&codec.Ping{})
	seen := map[uint32]int{}
	for pushes := 0; ; pushes++ {
		e := w.receive()
		if e.Kind == codec.KindPush {
			seen[e.ID]++
			continue
		}
		if e.ID == ping {
			require.Less(t, pushes, 20, "all pushes came first")
			break
		}
	}
	for len(seen) < 2 || seen[1]+seen[2] < 30 {
		seen[w.receive().ID]++
	}
	require.InDelta(t, seen[1], seen[2], 12, "each in its turn")
}

func TestSubscriptionsEndAndSayWhy(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.store(batchOf(t, 0, "a"))
	p.store(batchOf(t, 0, "b"))
	s, addr := start(t, b, Limits{Subscriptions: 3})
	w := open(t, addr)
	require.Contains(t, w.refused(&codec.Subscribe{TopicPartition: tp0, Offset: 9}), "OFFSET_OUT_OF_RANGE: offset 9: the log holds [0, 2)")
	require.Contains(t, w.refused(&codec.Subscribe{TopicPartition: codec.TopicPartition{Topic: "none"}}), "UNKNOWN_TOPIC")
	require.Contains(t, w.refused(&codec.Unsubscribe{Subscription: 77}), "INVALID_ARGUMENT: there never was a subscription 77")
	sub := w.subscribe(codec.Subscribe{TopicPartition: tp0, Credit: 0})
	b.Trim(tp0, 1, func(codec.Offset, error) {})
	w.grant(sub, 100)
	var ended codec.Ended
	w.pushed(sub, codec.PushEnd, &ended)
	require.Equal(t, "offset 0: the log holds [1, 2)", ended.Message)
	require.Equal(t, codec.OffsetOutOfRange, ended.Code)
	w.grant(sub, 100) // it may just have ended
	w.call(&codec.Unsubscribe{Subscription: sub}, &codec.Empty{})

	at := w.subscribe(codec.Subscribe{TopicPartition: tp0, Offset: 2, Credit: 100})
	until(t, "it waits", func() bool { return p.waiting() == 1 })
	p.mu.Lock()
	p.ill = codec.Errorf(codec.CorruptLog, "t/0 is quarantined")
	p.mu.Unlock()
	p.wakeAll()
	ended = codec.Ended{}
	w.pushed(at, codec.PushEnd, &ended)
	require.Equal(t, codec.CorruptLog, ended.Code)

	p.mu.Lock()
	p.ill = nil
	p.mu.Unlock()
	for range 3 {
		w.subscribe(codec.Subscribe{TopicPartition: tp0, Offset: 2})
	}
	require.Contains(t, w.refused(&codec.Subscribe{TopicPartition: tp0, Offset: 2}), "TOO_MANY_SUBSCRIPTIONS: 3 subscriptions")
	st := s.Stats()
	require.Equal(t, 3, st.Subscriptions)
	require.Equal(t, uint64(1), st.Limits["Subscriptions"])
}

func TestCloseEndsSubscriptions(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	s := New(b, Options{})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	w := open(t, addr.String())
	w.subscribe(codec.Subscribe{TopicPartition: tp0, Credit: 100})
	w.subscribe(codec.Subscribe{TopicPartition: tp0})
	until(t, "it waits", func() bool { return p.waiting() == 1 })
	done := make(chan error)
	go func() { done <- s.Close(context.Background()) }()
	for sub := range uint32(2) {
		var ended codec.Ended
		w.pushed(sub+1, codec.PushEnd, &ended)
		require.Equal(t, codec.Stopping, ended.Code)
	}
	require.EqualError(t, w.receive().Err(), "STOPPING: the broker is shutting down")
	w.closed()
	require.NoError(t, <-done)
	require.Zero(t, p.waiting())
}

func TestAnIdleSubscriptionSaysThatItLives(t *testing.T) {
	b := newFakeBroker("t", 1)
	b.at("t", 0).store(batchOf(t, 0, "a"))
	_, addr := start(t, b, Limits{Heartbeat: 20 * time.Millisecond})
	w := open(t, addr)
	w.subscribe(codec.Subscribe{TopicPartition: tp0, Offset: 1, Credit: 1})
	for range 3 {
		var idle codec.Idle
		w.pushed(1, codec.PushIdle, &idle)
		require.Equal(t, codec.Idle{Next: 1, HighWatermark: 1}, idle)
	}
}

// A one-way has no answer: what cannot be carried out ends the connection.
func TestCreditThatIsNone(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 1), Limits{})
	for says, body := range map[string][]byte{
		"INVALID_ARGUMENT: credit is -1: want 0 to 1073741824": {0x93, 3, 25, 0x92, 1, 0xff},
		"MALFORMED: CREDIT has 1 elements: want at least 2":    {0x93, 3, 25, 0x91, 1},
	} {
		w := open(t, addr)
		w.bytes(append([]byte{0, 0, 0, byte(len(body))}, body...))
		require.EqualError(t, w.receive().Err(), says)
		w.closed()
	}
	w := open(t, addr)
	require.Contains(t, w.refused(&codec.Credit{Subscription: 1}), "INVALID_ARGUMENT: CREDIT is a one-way (kind 3)")
}
