package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// In the middle of the log there is nothing to wait for: min_bytes counts at
// the end only.
func TestMinBytesDoesNotWaitWithinTheLog(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	one := batchOf(t, 0, string(make([]byte, 1000)))
	for range 3 {
		p.store(one)
	}
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	var f codec.Fetched
	before := time.Now()
	w.call(&codec.Fetch{TopicPartition: tp0, MaxBytes: 1500, MaxWait: 10_000, MinBytes: 1500}, &f)
	require.Less(t, time.Since(before), 5*time.Second)
	require.Len(t, f.Batches, len(one), "the next one does not fit")
	require.Equal(t, codec.Offset(3), f.HighWatermark)
}

// A record or a batch that is larger than the client's frames stops it, and
// says how to go on.
func TestWhatIsLargerThanAFrameCanBeSteppedOver(t *testing.T) {
	b := newFakeBroker("t", 1)
	b.at("t", 0).store(batchOf(t, 0, string(make([]byte, 100_000)), "small"))
	_, addr := start(t, b, Limits{})
	w := raw(t, addr)
	w.bytes([]byte(codec.Magic))
	w.call(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, FrameMax: 64 << 10}, &codec.Welcome{})
	says := `RECORD_TOO_LARGE: answer of \d+ bytes: HELLO agreed on frames of at most 65536: go on at offset `
	require.Regexp(t, says+"2$", w.refused(&codec.Fetch{TopicPartition: tp0, MaxBytes: 1 << 20}))
	require.Regexp(t, says+"1$", w.refused(&codec.Fetch{TopicPartition: tp0, MaxBytes: 1 << 20, Mode: codec.FetchRecords}))
	var f codec.Fetched
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 1, MaxBytes: 1 << 20, Mode: codec.FetchRecords}, &f)
	require.Equal(t, "small", string(f.Records[0].Value))
}

// overtaken stores a record between the first look at the bounds and the read.
type overtaken struct {
	*fakePartition
	store codec.Batch
}

func (o *overtaken) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	o.fakePartition.store(o.store)
	return o.fakePartition.Read(dst, offset, maxBytes)
}

// pollOf is a fetch on a connection without a socket: what it does is done by
// the test, in the order it says.
func pollOf(t *testing.T, from Partition, f codec.Fetch) *poll {
	t.Helper()
	c := newConn(New(newFakeBroker("t", 1), Options{}), nil)
	t.Cleanup(c.cancel)
	p := &poll{reading: reading{from: from}, request: request{id: 2, size: 10}, fetch: f, topic: new(topicCounts), deadline: time.Hour}
	p.conn, p.over = c, p.ready
	return p
}

func TestTheWatermarkIsNeverBelowWhatWasRead(t *testing.T) {
	p := newFakeBroker("t", 1).at("t", 0)
	p.store(batchOf(t, 0, "a"))
	m, ok := pollOf(t, &overtaken{p, batchOf(t, 0, "b")}, codec.Fetch{MaxBytes: 1000}).make(nil)
	require.True(t, ok)
	e, err := codec.ParseEnvelope(m.frame.Bytes()[4:])
	require.NoError(t, err)
	var f codec.Fetched
	require.NoError(t, e.Decode(&f))
	next, _ := endOf(f.Batches, 0)
	require.Equal(t, codec.Offset(2), next)
	require.Equal(t, codec.Offset(2), f.HighWatermark)
}

// restless wakes a poll before its Await has returned, and again is what the
// writer does meanwhile.
type restless struct {
	*fakePartition
	again     func()
	cancelled []int
	rounds    int
}

func (r *restless) Await(_ codec.Offset, _ time.Duration, done func()) func() {
	r.rounds++
	round := r.rounds
	if again := r.again; again != nil {
		r.again = nil
		done()
		again()
	}
	return func() { r.cancelled = append(r.cancelled, round) }
}

func TestAPollThatWaitsAnewIsCancelledAnew(t *testing.T) {
	r := &restless{fakePartition: newFakeBroker("t", 1).at("t", 0)}
	p := pollOf(t, r, codec.Fetch{MaxBytes: 1000})
	r.again = func() { p.await(r, 1, time.Hour) }
	p.await(r, 0, time.Hour)
	require.Equal(t, 2, r.rounds)
	require.Equal(t, []int{1}, r.cancelled, "the first round is over")
	p.conn.endVigils()
	require.Equal(t, []int{1, 2}, r.cancelled, "nobody waits on for a connection that ended")
}
