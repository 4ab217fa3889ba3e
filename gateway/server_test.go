package gateway

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// wire is a client made by hand, so that it can do what a client should not.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *codec.FrameReader
	id   uint32
}

// start serves b until the test ends.
func start(t *testing.T, b Broker, l Limits) (*Server, string) {
	t.Helper()
	s := New(b, Options{Limits: l})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, s.Close(ctx))
	})
	return s, addr.String()
}

func raw(t *testing.T, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	t.Cleanup(func() { _ = c.Close() })
	return &wire{t: t, conn: c, in: codec.NewFrameReader(c, 64<<20)}
}

func open(t *testing.T, addr string) *wire {
	t.Helper()
	w := raw(t, addr)
	w.bytes([]byte(codec.Magic))
	var welcome codec.Welcome
	w.call(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Client: "test"}, &welcome)
	require.Equal(t, codec.NodeID("n1"), welcome.Node)
	return w
}

// openAnd opens with HELLO and what follows it in one piece, so that it is not
// idle in between.
func openAnd(t *testing.T, addr string, then []byte) *wire {
	t.Helper()
	w := raw(t, addr)
	hello := codec.EncodeRequest(nil, 1, &codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Client: "test"}).Bytes()
	w.bytes(slices.Concat([]byte(codec.Magic), hello, then))
	require.NoError(t, w.receive().Err())
	return w
}

func (w *wire) bytes(p []byte) {
	w.t.Helper()
	_, err := w.conn.Write(p)
	require.NoError(w.t, err)
}

func (w *wire) send(r codec.Request) uint32 {
	w.t.Helper()
	w.id++
	w.bytes(codec.EncodeRequest(nil, w.id, r).Bytes())
	return w.id
}

func (w *wire) receive() codec.Envelope {
	w.t.Helper()
	frame, err := w.in.Read(nil)
	require.NoError(w.t, err)
	e, err := codec.ParseEnvelope(frame)
	require.NoError(w.t, err)
	return e
}

func (w *wire) call(r codec.Request, into codec.Message) {
	w.t.Helper()
	id := w.send(r)
	e := w.receive()
	for e.Kind == codec.KindPush && e.Push == codec.PushIdle {
		e = w.receive() // a subscription with nothing to push
	}
	require.Equal(w.t, id, e.ID)
	require.NoError(w.t, e.Err())
	require.NoError(w.t, e.Decode(into))
}

// refused sends and returns what a person would read.
func (w *wire) refused(r codec.Request) string {
	w.t.Helper()
	id := w.send(r)
	e := w.receive()
	require.Equal(w.t, id, e.ID)
	require.Error(w.t, e.Err())
	return e.Err().Error()
}

// closed expects the connection's end.
func (w *wire) closed() {
	w.t.Helper()
	_, err := w.in.Read(nil)
	require.Equal(w.t, io.EOF, err)
}

func batchOf(t testing.TB, c codec.Compression, values ...string) codec.Batch {
	t.Helper()
	var b codec.Builder
	for i, v := range values {
		b.Append(codec.Millis(1000+i), nil, []byte(v), nil)
	}
	batch, err := b.Build(c)
	require.NoError(t, err)
	return batch
}

var tp0 = codec.TopicPartition{Topic: "t", Partition: 0}

func TestProduceAndFetch(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 2), Limits{})
	w := open(t, addr)
	var produced codec.Produced
	w.call(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, codec.NoCompression, "a", "b")}, &produced)
	require.Equal(t, codec.Produced{Base: 0, AppendTime: 77}, produced)
	big := strings.Repeat("c", 5000)
	w.call(&codec.Produce{TopicPartition: tp0, Compression: codec.Zstd, Records: []codec.Record{
		{Timestamp: 2000, Key: []byte("k"), Value: []byte(big), Headers: []codec.Header{{Key: "h", Value: []byte("1")}}}, {Timestamp: codec.NoTimestamp}}}, &produced)
	require.Equal(t, codec.Offset(2), produced.Base)

	var got codec.Fetched
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 1, MaxBytes: 1 << 20}, &got)
	require.Equal(t, codec.Offset(4), got.HighWatermark)
	first, rest, err := codec.NextBatch(got.Batches)
	require.NoError(t, err)
	require.Equal(t, codec.Offset(0), first.BaseOffset(), "the first batch begins before the offset")
	second, rest, err := codec.NextBatch(rest)
	require.NoError(t, err)
	require.Equal(t, codec.Zstd, second.Compression())
	require.Empty(t, rest)

	got = codec.Fetched{}
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 1, MaxBytes: 1 << 20, Mode: codec.FetchRecords}, &got)
	require.Len(t, got.Records, 3)
	require.Equal(t, codec.Offset(1), got.Records[0].Offset)
	require.Equal(t, big, string(got.Records[1].Value))
	require.Equal(t, "h", got.Records[1].Headers[0].Key)
	require.InDelta(t, float64(time.Now().UnixMilli()), float64(got.Records[2].Timestamp), 60_000)

	got = codec.Fetched{}
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 1, Mode: codec.FetchRecords}, &got)
	require.Len(t, got.Records, 1, "one comes whatever the limit")

	got = codec.Fetched{}
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 4, MaxBytes: 1}, &got)
	require.Empty(t, got.Batches)
}

func TestAdministration(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 1), Limits{})
	w := open(t, addr)
	var d codec.TopicDescription
	w.call(&codec.CreateTopic{Topic: "new", Partitions: 3}, &d)
	require.Len(t, d.Partitions, 3)
	d = codec.TopicDescription{}
	w.call(&codec.AlterTopic{Topic: "new"}, &d)
	require.Equal(t, codec.Topic("new"), d.Topic)
	d = codec.TopicDescription{}
	w.call(&codec.DescribeTopic{Topic: "t"}, &d)
	require.Equal(t, codec.Topic("t"), d.Topic)
	var m codec.Metadata
	w.call(&codec.MetadataQuery{}, &m)
	require.Len(t, m.Topics, 2)
	m = codec.Metadata{}
	w.call(&codec.MetadataQuery{Topics: []codec.Topic{"new", "none"}}, &m)
	require.Len(t, m.Topics[0].Partitions, 3)
	require.Equal(t, codec.UnknownTopic, m.Topics[1].Code)
	w.call(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, codec.NoCompression, "a", "b", "c")}, &codec.Produced{})
	var o codec.Offsets
	w.call(&codec.OffsetsQuery{TopicPartition: tp0, Time: 1001, HasTime: true}, &o)
	require.Equal(t, codec.Offsets{Oldest: 0, Newest: 3, AtTime: 1, Found: true}, o)
	o = codec.Offsets{}
	w.call(&codec.OffsetsQuery{TopicPartition: tp0, Time: 9999, HasTime: true}, &o)
	require.Equal(t, codec.Offsets{Oldest: 0, Newest: 3, AtTime: 3}, o)
	var trimmed codec.Trimmed
	w.call(&codec.Trim{TopicPartition: tp0, Before: 2}, &trimmed)
	require.Equal(t, codec.Offset(2), trimmed.Start)
	var first, second codec.ProducerIdentity
	w.call(codec.NewProducer{}, &first)
	w.call(codec.NewProducer{}, &second)
	require.NotEqual(t, first.ID, second.ID)
	w.call(&codec.DeleteTopic{Topic: "new"}, &codec.Empty{})
	w.call(&codec.Ping{}, &codec.Empty{})
	require.Contains(t, w.refused(&codec.DescribeTopic{Topic: "new"}), "UNKNOWN_TOPIC")
}

// What a person would see; the connection goes on after each.
func TestRefusals(t *testing.T) {
	b := newFakeBroker("t", 2)
	b.at("t", 0).max = 500
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	damaged := batchOf(t, codec.NoCompression, "abc")
	damaged[len(damaged)-2] ^= 1
	for _, law := range []struct {
		r    codec.Request
		says string
	}{
		{&codec.Produce{TopicPartition: tp0, Batch: damaged}, "CORRUPT_BATCH: batch CRC-32C is"},
		{&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, strings.Repeat("x", 1000))}, "RECORD_TOO_LARGE: batch of 1070 bytes: message.bytes.max is 500"},
		{&codec.Produce{TopicPartition: tp0, Records: []codec.Record{}}, "INVALID_ARGUMENT: produce to t/0 without records"},
		{&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "none"}, Batch: batchOf(t, 0, "a")}, `UNKNOWN_TOPIC: topic "none" does not exist`},
		{&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 7}, Batch: batchOf(t, 0, "a")}, `UNKNOWN_PARTITION: partition 7 of "t": it has 2`},
		{&codec.Fetch{TopicPartition: tp0, Offset: 99, MaxBytes: 10}, "OFFSET_OUT_OF_RANGE: offset 99: the log holds [0, 0)"},
		{&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 0}, "INVALID_ARGUMENT: max bytes is 0: want 1 to 2147483647"},
		{&codec.OffsetsQuery{TopicPartition: codec.TopicPartition{Topic: "none"}}, "UNKNOWN_TOPIC"},
		{&codec.CreateTopic{Topic: "a/b"}, "INVALID_TOPIC: topic name \"a/b\" has '/'"},
		{&codec.CreateTopic{Topic: "t"}, `TOPIC_EXISTS: topic "t" exists`},
		{unknownOp{}, "OP_UNKNOWN: operation 99000 is not known here"},
	} {
		require.Contains(t, w.refused(law.r), law.says)
	}
	w.call(&codec.Ping{}, &codec.Empty{})
	_, high, _ := b.at("t", 0).Bounds()
	require.Zero(t, high, "nothing was stored")
}

// A partition that cannot be read says so, at its tail too: an empty answer
// would mean that there are no records.
func TestAnUnreadablePartitionSaysSo(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	_, addr := start(t, b, Limits{})
	p.ill = codec.Errorf(codec.CorruptLog, "t/0 is quarantined: damaged file")
	w := open(t, addr)
	require.Contains(t, w.refused(&codec.Fetch{TopicPartition: tp0, MaxBytes: 10, MaxWait: 60_000}), "CORRUPT_LOG: t/0 is quarantined: damaged file")
	require.Contains(t, w.refused(&codec.OffsetsQuery{TopicPartition: tp0}), "CORRUPT_LOG: t/0 is quarantined: damaged file")
}

type unknownOp struct{ codec.Ping }

func (unknownOp) Op() codec.Op { return 99_000 }

// What ends a connection, with the last words; others do not notice.
func TestHostileInput(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 1), Limits{})
	bystander := open(t, addr)
	for name, law := range map[string]struct {
		afterHello bool
		bytes      []byte
		id         uint32
		says       string
	}{
		"http":               {false, []byte("GET / HTTP/1.1\r\n\r\n"), 0, `MALFORMED: connection opens with "GET ": want "TRP1"`},
		"tls":                {false, []byte{0x16, 3, 1, 2, 0}, 0, "MALFORMED: connection opens with"},
		"64 KiB + 1 at once": {false, append([]byte(codec.Magic), 0, 1, 0, 1), 0, "FRAME_TOO_LARGE: frame of 65537 bytes: at most 65536 are allowed here"},
		"empty frame":        {true, frame(), 0, "MALFORMED: frame of 0 bytes"},
		"4 GiB":              {true, []byte{255, 255, 255, 255}, 0, "FRAME_TOO_LARGE: frame of 4294967295 bytes: at most 8388608 are allowed here"},
		"not msgpack":        {true, frame(0xc1), 0, "MALFORMED: msgpack at byte 0"},
		"array of 4G":        {true, frame(0xdd, 0xff, 0xff, 0xff, 0xff), 0, "MALFORMED"},
		"deep":               {true, frame([]byte(strings.Repeat("\x91", 200))...), 0, "MALFORMED: msgpack nests deeper than 8"},
		"two values":         {true, frame(0x93, 0, 1, 2, 9), 0, "MALFORMED: 1 bytes follow"},
		"kind 7":             {true, frame(0x94, 7, 1, 2, 0xc0), 0, "MALFORMED: kind of frame is 7"},
		"a response":         {true, frame(0x94, 1, 5, 0, 0xc0), 0, "MALFORMED: a client sends requests"},
		"a body of rubbish":  {true, frame(0x94, 0, 5, byte(codec.OpFetch), 0xa1, 'x'), 5, "MALFORMED: FETCH at byte 0: want an array"},
		"produce of rubbish": {true, frame(0x94, 0, 5, byte(codec.OpProduce), 0x93, 1, 2, 3), 5, "MALFORMED: topic at byte 1: want bytes"},
		"hello twice":        {true, hello, 1, "MALFORMED: a second HELLO"},
		"fetch first":        {false, append([]byte(codec.Magic), codec.EncodeRequest(nil, 9, &codec.Fetch{}).Bytes()...), 9, "HELLO_FIRST: FETCH before HELLO"},
		"old protocol":       {false, append([]byte(codec.Magic), codec.EncodeRequest(nil, 9, &codec.Hello{}).Bytes()...), 9, "VERSION_UNKNOWN: client speaks protocol 0 to 0: this broker speaks 1"},
	} {
		w := raw(t, addr)
		if law.afterHello {
			w = open(t, addr)
		}
		w.bytes(append(law.bytes, make([]byte, 3000)...)) // more is on its way
		e := w.receive()
		require.Equal(t, law.id, e.ID, name)
		require.ErrorContains(t, e.Err(), law.says, name)
		w.closed()
	}
	bystander.call(&codec.Ping{}, &codec.Empty{})
}

func TestDeadlines(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 1), Limits{Handshake: 30 * time.Millisecond, Idle: 30 * time.Millisecond, Frame: 30 * time.Millisecond})
	for says, begin := range map[string]func() *wire{
		"TIMED_OUT: no magic within 30ms":                         func() *wire { return raw(t, addr) },
		"TIMED_OUT: no HELLO within 30ms":                         func() *wire { w := raw(t, addr); w.bytes([]byte(codec.Magic)); return w },
		"TIMED_OUT: no request for 30ms":                          func() *wire { return open(t, addr) },
		"TIMED_OUT: a frame of 16 bytes did not come within 30ms": func() *wire { return openAnd(t, addr, []byte{0, 0, 0, 16, 1}) },
	} {
		w := begin()
		require.EqualError(t, w.receive().Err(), says)
		w.closed()
	}
}

// While the broker owes an answer the client may be silent for as long as that
// takes; then its time begins.
func TestNobodyIsIdleWhoWaits(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.hold = true
	_, addr := start(t, b, Limits{Idle: 30 * time.Millisecond})
	w := openAnd(t, addr, codec.EncodeRequest(nil, 2, &codec.Produce{TopicPartition: tp0, Batch: batchOf(t, codec.NoCompression, "a")}).Bytes())
	until(t, "the produce is held", func() bool { return p.heldNow() == 1 })
	for range 2 { // as long as two who came later may be idle
		require.EqualError(t, open(t, addr).receive().Err(), "TIMED_OUT: no request for 30ms")
	}
	p.let(nil)
	require.NoError(t, w.receive().Err())
	require.EqualError(t, w.receive().Err(), "TIMED_OUT: no request for 30ms")
	w.closed()
}

func TestTooManyConnections(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 1), Limits{Connections: 1})
	first := open(t, addr)
	second := raw(t, addr)
	require.EqualError(t, second.receive().Err(), "OVERLOADED: 1 connections: at most 1 are allowed")
	second.closed()
	first.call(&codec.Ping{}, &codec.Empty{})
}
