package main

import (
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

func TestTheLifeOfATopic(t *testing.T) {
	s := newStage(t)
	require.Equal(t, "TOPIC  PARTITIONS  REPLICAS  RECORDS  BYTES\n", s.do("", "topic", "list"))
	require.Empty(t, s.do("", "topic", "list", "-o", "json"))
	require.Equal(t, "created b: 1 partition, 1 replica\n", s.do("", "topic", "create", "b"))
	made := fromJSON[describedTopic](t, s.do("", "topic", "create", "a", "--partitions", "6", "--replicas", "1", "--set", "retention.time=30d", "--set", "segment.bytes=1MiB", "-o", "json"))[0]
	require.Equal(t, codec.Topic("a"), made.Topic)
	require.Len(t, made.Partitions, 6)
	require.Equal(t, "30d", made.Settings["retention.time"])
	require.Equal(t, "1MiB", made.Settings["segment.bytes"])

	s.do("one\ntwo\n", "produce", "a", "--partition", "4")
	list := s.do("", "topic", "list")
	require.Regexp(t, `(?m)^a      6           1         2        \d+$`, list)
	require.Regexp(t, `(?m)^b      1           1         0        0$`, list)
	all := fromJSON[describedTopic](t, s.do("", "topic", "list", "-o", "json"))
	require.Equal(t, []codec.Topic{"a", "b"}, []codec.Topic{all[0].Topic, all[1].Topic})
	require.Equal(t, codec.Offset(2), all[0].Partitions[4].HighWatermark)

	require.Equal(t, "altered b: 3 partitions, 1 replica\n", s.do("", "topic", "alter", "b", "--partitions", "3", "--set", "durability=os"))
	text := s.do("", "topic", "describe", "b")
	require.Contains(t, text, "durability         os (acknowledged from the page cache: survives kill -9, not a power cut)\n")
	require.Contains(t, text, "PARTITION  LEADER  REPLICAS  IN SYNC  EPOCH  START  HIGH WATERMARK  BYTES\n0          n1      n1        n1       ")

	require.Equal(t, "deleted b\n", s.do("", "topic", "delete", "b"))
	require.JSONEq(t, `{"deleted":"a"}`, s.do("", "topic", "delete", "a", "-o", "json"))
	require.Empty(t, s.do("", "topic", "list", "-o", "json"))
	s.do("", "topic", "create", "a")
	require.Empty(t, s.do("", "consume", "a"), "the name is free, the records are gone")
	for len(s.node.broker.Metadata().Tombstones) > 0 {
		runtime.Gosched() // until the files are gone
	}
	dirs, err := wal.Dirs(wal.OS{}, s.dir)
	require.NoError(t, err)
	require.Len(t, dirs, 2, "the metadata and the new topic")
}

// The shape is the contract's, byte for byte but for what differs each time.
func TestDescribeAsJSON(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t")
	s.do("one\ntwo\n", "produce", "t")
	got := s.do("", "topic", "describe", "t", "-o", "json")
	got = regexp.MustCompile(`"id":"[0-9a-f-]{36}"`).ReplaceAllString(got, `"id":"ID"`)
	got = regexp.MustCompile(`"(epoch|bytes)":[1-9]\d*`).ReplaceAllString(got, `"$1":N`)
	require.Equal(t, `{"topic":"t","id":"ID","settings":{"cleanup":"delete","durability":"fsync","message.bytes.max":"1MiB","retention.bytes":"-1","retention.time":"7d","segment.bytes":"64MiB"},`+
		`"partitions":[{"partition":0,"leader":"n1","replicas":["n1"],"in_sync":["n1"],"epoch":N,"start":0,"high_watermark":2,"bytes":N}]}`+"\n", got)
}

func TestTrim(t *testing.T) {
	s := timed(t, 10)
	require.Equal(t, "PARTITION  START\n0          3\n", s.do("", "topic", "trim", "t", "--before", "offset:3"))
	require.JSONEq(t, `{"topic":"t","partitions":[{"partition":0,"start":6}]}`, s.do("", "topic", "trim", "t", "--before", "time:2026-03-02T12:00:06Z", "-o", "json"))
	require.Equal(t, "6\n7\n8\n9\n", s.do("", "consume", "t"))
	r := s.try("", "topic", "trim", "t", "--before", "offset:11")
	require.EqualError(t, r.failed, "OFFSET_OUT_OF_RANGE: --before offset:11: t/0 holds the offsets [6, 10); --partition chooses another")

	s.do("", "topic", "create", "many", "--partitions", "2")
	s.do("a\nb\nc\n", "produce", "many", "--partition", "1")
	r = s.try("", "topic", "trim", "many", "--before", "offset:2")
	require.ErrorContains(t, r.failed, "many/0 holds the offsets [0, 0)")
	require.Equal(t, "a\nb\nc\n", s.do("", "consume", "many"), "no partition was trimmed")
	require.Equal(t, "PARTITION  START\n1          2\n", s.do("", "topic", "trim", "many", "--before", "offset:2", "--partition", "1"))
	require.Equal(t, "c\n", s.do("", "consume", "many"))
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -123456: "-123,456"} {
		require.Equal(t, want, grouped(n))
	}
	require.Equal(t, []string{"1 record", "2,000 records"}, []string{count(1, "record"), count(2000, "record")})
}

// Every command has help with an example of it.
func TestHelp(t *testing.T) {
	for _, c := range newRoot(streams{}).Commands() {
		if c.Name() == "help" {
			continue
		}
		for _, c := range append(c.Commands(), c) {
			args := append(strings.Fields(c.CommandPath())[1:], "--help")
			r := command("", args...)
			require.NoError(t, r.failed)
			require.Contains(t, r.out, "Examples:\n  "+c.CommandPath(), "%v", args)
		}
	}
}
