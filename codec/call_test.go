package codec

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// calls are one of each kind.
func calls(t testing.TB) []*Call {
	tp := TopicPartition{"bookings", 3}
	return []*Call{
		{Cluster: someCluster, Number: 1, TopicPartition: tp, Kind: CallProduce, Batch: someBatch(t, "x")},
		{Cluster: someCluster, Number: 1 << 60, TopicPartition: tp, Kind: CallRead, At: 7, Bytes: CallBatchMax},
		{Cluster: someCluster, Number: 2, TopicPartition: tp, Kind: CallAwait, At: 1 << 40, Within: 60_000},
		{Cluster: someCluster, Number: 3, TopicPartition: tp, Kind: CallBounds},
		{Cluster: someCluster, Number: 4, TopicPartition: tp, Kind: CallTime, At: -5},
		{Cluster: someCluster, Number: 5, TopicPartition: tp, Kind: CallTopic},
		{Cluster: someCluster, Number: 6, Kind: CallProducer},
	}
}

func replies(t testing.TB) []*Reply {
	return []*Reply{
		{Cluster: someCluster, Number: 1, Offset: 9, AppendTime: 10},
		{Cluster: someCluster, Number: 2, Batches: someBatch(t, "y")},
		{Cluster: someCluster, Number: 3, Start: 1, HighWatermark: 1 << 50},
		{Cluster: someCluster, Number: 4, Offset: 5, Found: true},
		{Cluster: someCluster, Number: 5, Partitions: 6, BytesMax: 7},
		{Cluster: someCluster, Outcome: Outcome{Code: NotLeader, Leader: "10.0.0.1:9650", Message: "ask there"}},
	}
}

func TestCallsAndRepliesComeBack(t *testing.T) {
	damage := func(name string, parts [][]byte, parse func([]byte) error) {
		p := slices.Concat(parts...)
		for i := range parts[0] { // a batch has its own checksum
			q := slices.Clone(p)
			q[i] ^= 0x10
			require.Error(t, parse(q), "%s, byte %d", name, i)
			require.Error(t, parse(p[:i]), "%s of %d bytes", name, i)
		}
	}
	for _, c := range calls(t) {
		got, err := ParseCall(slices.Concat(c.Encode()...))
		require.NoError(t, err)
		require.Equal(t, c, got)
		damage("call", c.Encode(), func(p []byte) error { _, err := ParseCall(p); return err })
	}
	for _, r := range replies(t) {
		got, err := ParseReply(slices.Concat(r.Encode()...))
		require.NoError(t, err)
		require.Equal(t, r, got)
		damage("reply", r.Encode(), func(p []byte) error { _, err := ParseReply(p); return err })
	}
}

// A call has what its kind needs and nothing else: what it costs is what it says.
func TestCallsThatSayTooMuchAreRefused(t *testing.T) {
	tp := TopicPartition{"bookings", 3}
	for name, c := range map[string]*Call{
		"a kind that is none":       {Number: 1, TopicPartition: tp, Kind: CallProducer + 1},
		"number 0":                  {TopicPartition: tp, Kind: CallBounds},
		"a partition below 0":       {Number: 1, TopicPartition: TopicPartition{"bookings", -1}, Kind: CallBounds},
		"a long topic":              {Number: 1, TopicPartition: TopicPartition{Topic(bytes.Repeat([]byte("x"), 300)), 0}, Kind: CallBounds},
		"nothing to store":          {Number: 1, TopicPartition: tp, Kind: CallProduce},
		"no batch to store":         {Number: 1, TopicPartition: tp, Kind: CallProduce, Batch: Batch("short")},
		"too much to store":         {Number: 1, TopicPartition: tp, Kind: CallProduce, Batch: make(Batch, CallBatchMax+1)},
		"a batch, and it reads":     {Number: 1, TopicPartition: tp, Kind: CallRead, Bytes: 1, Batch: someBatch(t, "x")},
		"reads nothing":             {Number: 1, TopicPartition: tp, Kind: CallRead},
		"reads too much":            {Number: 1, TopicPartition: tp, Kind: CallRead, Bytes: CallBatchMax + 1},
		"reads, and asks for bytes": {Number: 1, TopicPartition: tp, Kind: CallBounds, Bytes: 1},
		"waits where nobody does":   {Number: 1, TopicPartition: tp, Kind: CallBounds, Within: 1},
	} {
		_, err := ParseCall(slices.Concat(c.Encode()...))
		require.Error(t, err, name)
	}
}

// No call costs less than its letter and its answer are long.
func TestACallCostsWhatItMayTake(t *testing.T) {
	for _, c := range calls(t) {
		letter := len(slices.Concat(c.Encode()...))
		r := Reply{Batches: make([]byte, c.Bytes), Outcome: Outcome{Leader: NodeID(bytes.Repeat([]byte("n"), 999)), Message: string(bytes.Repeat([]byte("m"), 9999))}}
		require.GreaterOrEqual(t, c.Cost(), letter+len(slices.Concat(r.Encode()...)))
		require.LessOrEqual(t, letter, CallBytesMax)
		require.LessOrEqual(t, c.Cost(), CallCostMax)
	}
}

func FuzzCall(f *testing.F) {
	for _, c := range calls(f) {
		f.Add(slices.Concat(c.Encode()...))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if c, err := ParseCall(p); err == nil {
			require.Equal(t, p, slices.Concat(c.Encode()...))
			require.LessOrEqual(t, len(p), CallBytesMax)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, r := range replies(f) {
		f.Add(slices.Concat(r.Encode()...))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, err := ParseReply(p); err == nil {
			require.Equal(t, p, slices.Concat(r.Encode()...))
		}
	})
}

// Each message asks for what it says, and its answer has its tag.
func TestMessagesAndAnswers(t *testing.T) {
	done := func(edit func(*Reply)) *Reply {
		r := &Reply{Number: 5}
		edit(r)
		return r
	}
	b := someBatch(t, "x")
	failed := done(func(r *Reply) { r.Offset = 9; r.Fail(&Error{Code: Overloaded, Message: "full", Leader: "l"}) })
	why := &Error{Code: Overloaded, Message: "full", Leader: "l"}
	for _, c := range []struct {
		message      any
		call         *Call
		reply        *Reply
		good, failed any
	}{
		{&Store{1, b}, &Call{Kind: CallProduce, Batch: b}, done(func(r *Reply) { r.Offset, r.AppendTime = 7, 8 }), &Stored{1, Produced{7, 8}, nil}, &Stored{Tag: 1, Err: why}},
		{&Read{2, 3, 4}, &Call{Kind: CallRead, At: 3, Bytes: 4}, done(func(r *Reply) { r.Batches = b }), &Batches{2, b, nil}, &Batches{Tag: 2, Err: why}},
		{&Read{2, 3, 0}, &Call{Kind: CallRead, At: 3, Bytes: 1 << 20}, done(func(*Reply) {}), &Batches{2, nil, nil}, &Batches{Tag: 2, Err: why}},
		{&Read{2, 3, 1 << 40}, &Call{Kind: CallRead, At: 3, Bytes: 4 << 20}, done(func(*Reply) {}), &Batches{2, nil, nil}, &Batches{Tag: 2, Err: why}},
		{&Await{3, 4, time.Second}, &Call{Kind: CallAwait, At: 4, Within: 1000}, done(func(r *Reply) { r.Start, r.HighWatermark = 1, 2 }), &Bounds{3, 1, 2, nil}, &Bounds{Tag: 3, Err: why}},
		{&Await{3, 4, -time.Second}, &Call{Kind: CallAwait, At: 4}, done(func(*Reply) {}), &Bounds{Tag: 3}, &Bounds{Tag: 3, Err: why}},
		{&Await{3, 4, time.Hour}, &Call{Kind: CallAwait, At: 4, Within: 60_000}, done(func(*Reply) {}), &Bounds{Tag: 3}, &Bounds{Tag: 3, Err: why}},
		{&AskBounds{4}, &Call{Kind: CallBounds}, done(func(r *Reply) { r.Start, r.HighWatermark = 1, 2 }), &Bounds{4, 1, 2, nil}, &Bounds{Tag: 4, Err: why}},
		{&AskTime{5, 6}, &Call{Kind: CallTime, At: 6}, done(func(r *Reply) { r.Offset, r.Found = 7, true }), &Time{5, 7, true, nil}, &Time{Tag: 5, Err: why}},
		{&AskTopic{6}, &Call{Kind: CallTopic}, done(func(r *Reply) { r.Partitions, r.BytesMax = 7, 8 }), &TopicFacts{6, 7, 8, nil}, &TopicFacts{Tag: 6, Err: why}},
		{&AskProducer{7}, &Call{Kind: CallProducer}, done(func(r *Reply) { r.Offset = 8 }), &ProducerID{7, 8, nil}, &ProducerID{Tag: 7, Err: why}},
	} {
		require.Equal(t, c.call, CallOf(c.message))
		require.Equal(t, c.good, AnswerTo(c.message, c.reply))
		require.Equal(t, c.failed, AnswerTo(c.message, failed))
	}
	require.Nil(t, CallOf("hello"))
	require.Nil(t, AnswerTo(errors.New("x"), failed))
}

func TestIDsOfPIDs(t *testing.T) {
	require.Equal(t, "troupe:01020300-0000-0000-0000-000000000010", PIDAddress(someCluster))
	tp, ok := PartitionOfID("a.b-c_d/17")
	require.True(t, ok)
	require.Equal(t, TopicPartition{"a.b-c_d", 17}, tp)
	for _, id := range []string{"", "a", "a/", "/1", "a/-1", "a/01", "a/+1", "a/1/2", "a b/1", "../1", "a/4294967296", "a/2147483648"} {
		_, ok := PartitionOfID(id)
		require.False(t, ok, id)
	}
}

// A greeting says a window only where there is one: others are as they were.
func TestAWindowComesBack(t *testing.T) {
	g := someGreeting()
	g.Purpose, g.Window = PurposeService, Window{1024, 8 << 20}
	got, err := ParseGreeted(EncodeAccepted(g).Bytes()[FrameHeadBytes:])
	require.NoError(t, err)
	require.Equal(t, g, got)
	w := Window{2, 100}
	require.True(t, w.Admits(1, 50, 50))
	require.False(t, w.Admits(1, 50, 51))
	require.False(t, w.Admits(2, 0, 1))
}
