package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// What was done is what was counted.
func TestStatsCountWhatCrossedTheDoor(t *testing.T) {
	b := newFakeBroker("t", 1)
	s, addr := start(t, b, Limits{Connections: 1})
	w := open(t, addr)
	batch := batchOf(t, 0, "a", "b", "c")
	for range 4 {
		w.call(&codec.Produce{TopicPartition: tp0, Batch: batch}, &codec.Produced{})
	}
	w.refused(&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "none"}, Batch: batch})
	w.refused(unknownOp{})
	w.call(&codec.Fetch{TopicPartition: tp0, MaxBytes: 1 << 20}, &codec.Fetched{})
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 10, MaxBytes: 1 << 20, Mode: codec.FetchRecords}, &codec.Fetched{})
	sub := w.subscribe(codec.Subscribe{TopicPartition: tp0, Credit: 1000})
	w.data(sub)
	w.grant(sub, 7)
	w.call(&codec.Ping{}, &codec.Empty{})
	other := raw(t, addr)
	require.Error(t, other.receive().Err())

	until(t, "the last answer is counted", func() bool { return s.Stats().InFlightRequests == 0 })
	st := s.Stats()
	require.Equal(t, 1, st.Connections)
	require.Equal(t, uint64(1), st.ConnectionsTotal)
	require.Equal(t, map[string]uint64{"OVERLOADED": 1}, st.Refused)
	require.Equal(t, uint64(5), st.Ops[codec.OpProduce].Requests)
	require.Equal(t, map[codec.Code]uint64{codec.UnknownTopic: 1}, st.Ops[codec.OpProduce].Errors)
	require.Equal(t, map[codec.Code]uint64{codec.OpUnknown: 1}, st.Ops[OpOther].Errors)
	require.Equal(t, uint64(1), st.Ops[codec.OpCredit].Requests)
	n, seconds := uint64(0), st.Ops[codec.OpProduce].Seconds
	for _, v := range seconds.Buckets {
		n += v
	}
	require.Equal(t, uint64(5), n)
	require.Len(t, seconds.Buckets, len(HistogramBounds())+1)
	require.Positive(t, seconds.Sum)
	require.Equal(t, uint64(1), st.Pushes)
	size := uint64(4 * len(batch))
	last := uint64(len(batch)) // the second fetch begins within the last batch
	require.Equal(t, map[codec.Topic]TopicStats{"t": {RecordsIn: 12, BatchesIn: 4, BytesIn: size, RecordsOut: 12 + 2 + 12, BytesOut: 2*size + last}}, st.Topics)
	require.Equal(t, 1, st.Subscriptions)
	require.Equal(t, int64(1000+7)-int64(size), st.CreditBytes)
	require.Positive(t, st.BytesIn)
	require.Greater(t, st.BytesOut, 2*size)
	require.Zero(t, st.InFlightBytes+st.AnswerBytes)

	require.NoError(t, w.conn.Close())
	until(t, "it is gone", func() bool { return s.Stats().Closed["client"] == 1 })
}

// Topics come and go; what is counted by name does not grow with them.
func TestCountersOfDeletedTopicsGo(t *testing.T) {
	alive := map[codec.Topic]bool{}
	var c counts
	c.topics.exists = func(name codec.Topic) bool { return alive[name] }
	alive["stays"] = true
	c.topic(nil, "stays").produced(1, 10)
	for i := range 10_000 {
		name := codec.Topic(fmt.Sprint(i))
		last := c.topic(nil, name)
		require.Same(t, last, c.topic(last, name))
		require.Same(t, last, c.topic(nil, name))
		require.LessOrEqual(t, len(*c.topics.by.Load()), topicsPrune+1)
	}
	require.Equal(t, map[codec.Topic]TopicStats{"stays": {RecordsIn: 1, BatchesIn: 1, BytesIn: 10}}, c.readTopics())
}

// Who still has the counters of a topic that was deleted counts for the one
// that has its name now.
func TestATopicMadeAnewIsCounted(t *testing.T) {
	exists := true
	var c counts
	c.topics.exists = func(codec.Topic) bool { return exists }
	last := c.topic(nil, "t")
	last.produced(3, 30)
	exists = false
	require.Empty(t, c.readTopics())
	exists = true
	c.topic(last, "t").produced(1, 10)
	require.Equal(t, map[codec.Topic]TopicStats{"t": {RecordsIn: 1, BatchesIn: 1, BytesIn: 10}}, c.readTopics())
}

func TestDurationsFallIntoTheirBuckets(t *testing.T) {
	var c counts
	for _, took := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, time.Second, time.Hour} {
		c.answered(codec.OpFetch, took)
	}
	c.asked(codec.OpFetch)
	b := c.readOps()[codec.OpFetch].Seconds.Buckets
	require.Equal(t, uint64(2), b[0])
	require.Equal(t, uint64(1), b[1])
	require.Equal(t, uint64(1), b[len(b)-1])
}
