package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func (b *budget) queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

func TestBudgetServesInOrder(t *testing.T) {
	b := newBudget(100, nil)
	require.Equal(t, 100, b.clamp(1000))
	require.True(t, b.try(60))
	require.False(t, b.try(41))
	got := make(chan string, 2)
	go func() { got <- map[bool]string{true: "large"}[b.take(t.Context(), 80)] }()
	until(t, "one waits", func() bool { return b.queued() == 1 })
	require.False(t, b.try(1), "nobody overtakes")
	go func() { got <- map[bool]string{true: "small"}[b.take(t.Context(), 30)] }()
	until(t, "two wait", func() bool { return b.queued() == 2 })
	b.give(60)
	require.Equal(t, "large", <-got)
	b.give(80)
	require.Equal(t, "small", <-got)
	b.give(30)
	require.Equal(t, 100, b.free)
}

func TestWhoGivesUpWaitingIsForgotten(t *testing.T) {
	b := newBudget(10, nil)
	require.True(t, b.try(10))
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan bool)
	go func() { got <- b.take(ctx, 10) }()
	until(t, "it waits", func() bool { return b.queued() == 1 })
	cancel()
	require.False(t, <-got)
	b.give(10)
	require.True(t, b.try(10))
}

// Clients that ask for much and read nothing hold no more than the budget;
// the others' answers wait until those are let go.
func TestAnswersOfAllConnectionsAreBounded(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.max = 8 << 20
	for range 3 {
		p.store(batchOf(t, 0, string(make([]byte, 2<<20))))
	}
	s, addr := start(t, b, Limits{AnswerBytes: 16 << 20, Write: 200 * time.Millisecond})
	for range 6 {
		w := open(t, addr)
		for range 20 {
			w.send(&codec.Fetch{TopicPartition: tp0, MaxBytes: 8 << 20})
		}
	}
	until(t, "some wait", func() bool { return s.answers.queued() > 1 })
	w := open(t, addr)
	var f codec.Fetched
	w.call(&codec.Fetch{TopicPartition: tp0, MaxBytes: 8 << 20}, &f)
	require.NotEmpty(t, f.Batches)
	until(t, "all was given back", func() bool { return s.answers.try(16 << 20) })
	s.answers.give(16 << 20)
}

// Who waits for memory that others hold waits for a hurry, not for as long as
// a client may otherwise take.
func TestWhoDoesNotReadIsHurriedWhileOthersWait(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.max = 8 << 20
	for range 3 {
		p.store(batchOf(t, 0, string(make([]byte, 2<<20))))
	}
	s, addr := start(t, b, Limits{AnswerBytes: 16 << 20, Write: time.Hour, Hurry: 20 * time.Millisecond})
	for range 6 {
		w := open(t, addr)
		for range 20 {
			w.send(&codec.Fetch{TopicPartition: tp0, MaxBytes: 8 << 20})
		}
	}
	until(t, "some wait", func() bool { return s.Stats().Limits["AnswerBytes"] > 0 })
	w := open(t, addr)
	w.call(&codec.Fetch{TopicPartition: tp0, MaxBytes: 8 << 20}, &codec.Fetched{})
	st := s.Stats()
	require.Positive(t, st.Closed["slow"])
	require.Positive(t, st.BudgetWaits["AnswerBytes"])
	require.Positive(t, st.BudgetWaiting["AnswerBytes"])
}

// The same for frames: a length that was promised and does not come.
func TestWhoDoesNotSendIsHurriedWhileOthersWait(t *testing.T) {
	s, addr := start(t, newFakeBroker("t", 1), Limits{Connections: 8, AddressConns: 8, BytesInFlightAll: 1, Frame: time.Hour, Hurry: 10 * time.Millisecond})
	first := open(t, addr)
	promise := append([]byte{0, 0x80, 0, 0}, make([]byte, earlyBytes)...)
	first.bytes(promise)
	until(t, "it holds what it promised", func() bool { return s.Stats().InFlightBytes > 8<<20-1 })
	second := open(t, addr)
	second.bytes(promise)
	require.ErrorContains(t, first.receive().Err(), "TIMED_OUT: a frame of 8388608 bytes did not come within 90ms, while others wait")
	third := open(t, addr)
	third.call(&codec.Ping{}, &codec.Empty{})
	require.Positive(t, s.Stats().Limits["BytesInFlightAll"])
}

// A writer that waits for the budget ends with its connection.
func TestCloseCutsAWriterThatWaitsForTheBudget(t *testing.T) {
	b := newFakeBroker("t", 1)
	b.at("t", 0).store(batchOf(t, 0, "x"))
	s := New(b, Options{})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	require.True(t, s.answers.try(s.answers.all))
	w := open(t, addr.String())
	w.send(&codec.Fetch{TopicPartition: tp0, MaxBytes: 100})
	until(t, "it waits", func() bool { return s.answers.queued() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Close(ctx), context.DeadlineExceeded)
	require.Zero(t, s.answers.queued())
}

// What is larger than the frame that was agreed on is an error that says so,
// of whatever operation.
func TestAnAnswerAboveTheAgreedFrame(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 3000), Limits{})
	w := raw(t, addr)
	w.bytes([]byte(codec.Magic))
	w.call(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 64 << 10}, &codec.Welcome{})
	for _, r := range []codec.Request{&codec.DescribeTopic{Topic: "t"}, &codec.MetadataQuery{}, &codec.AlterTopic{Topic: "t"}} {
		require.Regexp(t, `RECORD_TOO_LARGE: answer of \d+ bytes: HELLO agreed on frames of at most 65536`, w.refused(r))
	}
}

func TestMetadataOfOneNameOften(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 3), Limits{})
	w := open(t, addr)
	names := make([]codec.Topic, metadataTopicsMax)
	for i := range names {
		names[i] = "t"
	}
	var m codec.Metadata
	w.call(&codec.MetadataQuery{Topics: names}, &m)
	require.Len(t, m.Topics, 1)
	require.Contains(t, w.refused(&codec.MetadataQuery{Topics: append(names, "t")}), "INVALID_ARGUMENT: METADATA of 1001 topics: at most 1000 are allowed")
}

func held(c *conn) int {
	_, bytes := c.session.InFlight()
	return bytes
}

// A queue of answers counts with what it holds, not with what was asked.
func TestQueuedAnswersAreChargedAtTheirSize(t *testing.T) {
	s := New(newFakeBroker("t", 1), Options{})
	c := newConn(s, nil)
	c.session.Take(20)
	c.reply(request{id: 2, size: 20}, &codec.DescribeTopic{Topic: "some-topic"}, nil)
	require.Equal(t, c.queue[0].frame.Size(), held(c))
	require.Equal(t, held(c), c.queue[0].request.size)
	c.cancel()
}
