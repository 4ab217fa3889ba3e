package codec

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// golden is one frame of the protocol, with the message it must decode to.
type golden struct {
	name  string
	frame Frame
	want  Message // nil when the frame is an error
}

// goldenFrames are all messages of protocol v1, each at least once.
func goldenFrames(t testing.TB) []golden {
	id := UUID{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x41, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	tp := TopicPartition{"bookings", 2}
	batch := build(t, NoCompression, Record{Timestamp: 1700000000000, Key: []byte("OSL"), Value: []byte("booked"), Headers: []Header{{"trace", []byte{1}}}})
	stored := append(Batch(nil), batch...)
	stored.Stamp(41, 3)
	record := Record{Offset: 41, Timestamp: 1700000000000, Key: []byte("OSL"), Value: []byte("booked"), Headers: []Header{{"trace", []byte{1}}}}
	sent := record
	sent.Offset = 0
	described := &TopicDescription{Topic: "bookings", ID: id, Settings: map[string]string{"durability": "fsync", "retention.time": "7d"},
		Partitions: []PartitionDescription{{Partition: 0, Leader: "n1", Replicas: []NodeID{"n1"}, InSync: []NodeID{"n1"}, Epoch: 3, Start: 10, HighWatermark: 42, Bytes: 4096}}}
	ask := func(name string, r Request) golden { return golden{name, EncodeRequest(nil, 7, r), r} }
	push := func(name string, k PushKind, m Message) golden { return golden{name, EncodePush(nil, 5, k, m), m} }
	answer := func(name string, m Message) golden { return golden{name, EncodeResponse(nil, 7, m), m} }
	return []golden{
		ask("hello", &Hello{1, 1, "example", "0.1", []string{"redirect"}, FrameMax, ""}),
		ask("hello with a token", &Hello{1, 1, "example", "0.1", []string{}, FrameMax, "bG9uZyBhbmQgcmFuZG9t"}),
		answer("hello answer", &Welcome{1, "0.1.0", id, "n1", []string{}, FrameMax, 1024}),
		ask("ping", &Ping{}),
		answer("ping answer", &Empty{}),
		ask("metadata", &MetadataQuery{[]Topic{"bookings"}}),
		answer("metadata answer", &Metadata{id, "n1", []MetadataNode{{"n1", "127.0.0.1:9650"}}, []MetadataTopic{
			{"bookings", OK, id, []MetadataPartition{{0, "n1", 3}}}, {"nothing", UnknownTopic, UUID{}, nil}}}),
		ask("create topic", &CreateTopic{"bookings", 6, 1, map[string]string{"segment.bytes": "1MiB", "durability": "os"}}),
		answer("create topic answer", described),
		ask("alter topic", &AlterTopic{Topic: "bookings", Settings: map[string]string{"retention.bytes": "1GiB"}}),
		ask("delete topic", &DeleteTopic{"bookings"}),
		ask("describe topic", &DescribeTopic{"bookings"}),
		ask("trim", &Trim{tp, 40}),
		answer("trim answer", &Trimmed{40}),
		ask("change replicas", &ChangeReplicas{tp, []NodeID{"n2", "n3"}}),
		ask("transfer", &Transfer{tp, "n2"}),
		ask("cluster", &ClusterQuery{}),
		answer("cluster answer", &ClusterView{UUID{0xc1}, "n1", "n2", []ClusterNode{
			{"n1", "127.0.0.1:9650", "127.0.0.1:9651", "r1", NodeActive, true, true, ""},
			{"n2", "", "127.0.0.1:9751", "", NodeJoining, false, false, "nobody listens there"}}}),
		ask("remove node", &RemoveNode{"n2"}),
		ask("produce a batch", &Produce{TopicPartition: tp, Batch: batch}),
		ask("produce records", &Produce{TopicPartition: tp, Compression: Zstd, Records: []Record{
			sent, {Timestamp: NoTimestamp, Value: []byte{}}}}),
		answer("produce answer", &Produced{41, 1700000000123}),
		ask("new producer", &NewProducer{}),
		answer("new producer answer", &ProducerIdentity{4000, 0}),
		ask("fetch", &Fetch{tp, 41, 1 << 20, 500, 1, FetchBatches}),
		answer("fetch answer", &Fetched{Start: 10, HighWatermark: 42, Batches: stored}),
		ask("fetch records", &Fetch{tp, 41, 1 << 20, 500, 1, FetchRecords}),
		answer("fetch records answer", &Fetched{Start: 10, HighWatermark: 42, Records: []Record{record}, Mode: FetchRecords}),
		ask("offsets", &OffsetsQuery{TopicPartition: tp}),
		ask("offsets at a time", &OffsetsQuery{tp, 1700000000000, true}),
		answer("offsets answer", &Offsets{10, 42, 41, true}),
		{"error", EncodeError(nil, 7, &Error{NotLeader, "bookings/2 is led by n2", "127.0.0.1:9660"}), nil},
		{"error of the connection", EncodeError(nil, ConnectionID, Errorf(FrameTooLarge, "frame of 9000000 bytes: at most 8388608 are allowed here")), nil},
		ask("subscribe", &Subscribe{tp, 41, 1 << 20, FetchBatches}),
		answer("subscribe answer", &Subscribed{5, 10, 42}),
		ask("unsubscribe", &Unsubscribe{5}),
		{"credit", EncodeOneWay(nil, &Credit{5, 65536}), &Credit{5, 65536}},
		push("push of batches", PushData, &Fetched{Start: 10, HighWatermark: 42, Batches: stored}),
		push("push of records", PushData, &Fetched{Start: 10, HighWatermark: 42, Records: []Record{record}, Mode: FetchRecords, RecordsBytes: 52}),
		push("push of the end", PushEnd, &Ended{Error{UnknownTopic, "topic \"bookings\" does not exist", ""}}),
		push("push of nothing new", PushIdle, &Idle{42, 42}),
		{"one-way", EncodeOneWay(nil, &Ping{}), &Ping{}},
	}
}

// page is one frame of docs/protocol/frames.json.
type page struct {
	Name string          `json:"name"`
	Hex  string          `json:"hex"`
	JSON json.RawMessage `json:"json"`
}

// readable turns decoded msgpack into what JSON can say: bin is {"bin": hex}.
func readable(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]string{"bin": hex.EncodeToString(v)}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = readable(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			out[k] = readable(v[k])
		}
		return out
	}
	return v
}

func TestGoldenFrames(t *testing.T) {
	name := filepath.Join("..", "docs", "protocol", "frames.json")
	var pages []page
	for _, g := range goldenFrames(t) {
		var v any
		require.NoError(t, msgpack.Unmarshal(g.frame.Bytes()[4:], &v))
		said, err := json.Marshal(readable(v))
		require.NoError(t, err)
		pages = append(pages, page{g.name, hex.EncodeToString(g.frame.Bytes()), said})
	}
	want, err := json.MarshalIndent(pages, "", " ")
	require.NoError(t, err)
	want = append(want, '\n')
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, want, 0o644))
	}
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./codec -update if the change is meant, and never change what exists")
	require.True(t, utf8.Valid(got))
}
