package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// at is 2026-03-02T12:00:00Z and so many seconds.
func at(seconds float64) codec.Millis {
	return codec.Millis(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixMilli() + int64(1000*seconds))
}

// timed is a topic with a record a second, whose values are their offsets.
func timed(t *testing.T, records int) *stage {
	s := newStage(t)
	s.do("", "topic", "create", "t")
	for i := range records {
		s.store("t", 0, codec.Record{Timestamp: at(float64(i)), Value: fmt.Append(nil, i)})
	}
	return s
}

func TestWhereReadingBeginsAndEnds(t *testing.T) {
	s := timed(t, 10)
	for _, c := range []struct{ flags, want string }{
		{"", "0 1 2 3 4 5 6 7 8 9"},
		{"--from oldest --to newest", "0 1 2 3 4 5 6 7 8 9"},
		{"--from newest", ""},
		{"--from offset:7", "7 8 9"},
		{"--from offset:10", ""},
		{"--to offset:3", "0 1 2"},
		{"--to offset:300", "0 1 2 3 4 5 6 7 8 9"},
		{"--from offset:5 --to offset:5", ""},
		{"--from offset:6 --to offset:5", ""},
		{"--from offset:3 --to offset:7 --max 2", "3 4"},
		{"--from time:2026-03-02T12:00:04Z", "4 5 6 7 8 9"},
		{"--from time:2026-03-02T12:00:04.001Z", "5 6 7 8 9"},
		{"--from time:2026-03-02T12:00:04.0000001Z", "5 6 7 8 9"},
		{"--from time:2026-03-02T13:00:04+01:00", "4 5 6 7 8 9"},
		{"--from time:2020-01-01T00:00:00Z", "0 1 2 3 4 5 6 7 8 9"},
		{"--from time:2026-03-02T12:00:10Z", ""},
		{"--from time:2026-03-02T12:00:02Z --to time:2026-03-02T12:00:05Z", "2 3 4"},
		{"--to oldest", ""},
		{"--from oldest --to offset:2 --follow", "0 1"},
		{"--follow --max 4", "0 1 2 3"},
		{"--partition 0 --from offset:9", "9"},
	} {
		got := s.do("", append([]string{"consume", "t"}, strings.Fields(c.flags)...)...)
		require.Equal(t, c.want, strings.Join(strings.Fields(got), " "), c.flags)
	}
	ago := time.Since(time.UnixMilli(int64(at(4.5))))
	if ago > 0 {
		require.Equal(t, "5\n6\n7\n8\n9\n", s.do("", "consume", "t", "--from", fmt.Sprintf("-%dms", ago.Milliseconds())))
	}
	require.Equal(t, 10, strings.Count(s.do("", "consume", "t", "--from", "-30000d"), "\n"))

	s.do("", "topic", "trim", "t", "--before", "offset:4")
	require.Equal(t, "4\n5\n6\n7\n8\n9\n", s.do("", "consume", "t"))
	r := s.try("", "consume", "t", "--from", "offset:3")
	require.EqualError(t, r.failed, "OFFSET_OUT_OF_RANGE: --from offset:3: t/0 holds the offsets [4, 10); --partition chooses another")
	r = s.try("", "consume", "t", "--from", "offset:11")
	require.EqualError(t, r.failed, "OFFSET_OUT_OF_RANGE: --from offset:11: t/0 holds the offsets [4, 10); --partition chooses another")
}

// In one batch of many records, reading begins within the batch.
func TestATimeWithinABatch(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t")
	c := s.client()
	var b codec.Builder
	for i := range 100 {
		b.Append(at(float64(i)), nil, fmt.Append(nil, i), nil)
	}
	batch, err := b.Build(codec.Zstd)
	require.NoError(t, err)
	done := make(chan error, 1)
	require.NoError(t, c.ProduceBatch(t.Context(), codec.TopicPartition{Topic: "t"}, batch, func(_ codec.Produced, err error) { done <- err }))
	require.NoError(t, <-done)
	require.Equal(t, "63\n64\n", s.do("", "consume", "t", "--from", "time:2026-03-02T12:01:02.5Z", "--to", "time:2026-03-02T12:01:05Z"))
}

func TestAFollowerPrintsWhatComes(t *testing.T) {
	s := newStage(t)
	s.do("first\n", "produce", "t", "--create")
	ctx, interrupt := context.WithCancel(context.Background())
	out, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"consume", "t", "--follow", "--server", s.address}, strings.NewReader(""), w, io.Discard)
	}()
	lines := bufio.NewReader(out)
	for _, want := range []string{"first\n", "second\n", "third\n"} {
		got, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, got)
		if want == "first\n" {
			s.do("second\nthird\n", "produce", "t")
		}
	}
	interrupt()
	require.NoError(t, <-done, "an interrupt is how following ends")
}

func TestOutputThatNobodyReads(t *testing.T) {
	s := newStage(t)
	s.do(accessLog(10_000), "produce", "access", "--create")
	out, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(context.Background(), []string{"consume", "access", "--server", s.address}, strings.NewReader(""), w, io.Discard)
	}()
	_, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.NoError(t, <-done)

	// The same with a process, which a closed pipe sends a signal.
	c := exec.Command(os.Args[0], "consume", "access", "--server", s.address)
	c.Env = append(os.Environ(), asTroupe+"=1")
	var errs strings.Builder
	c.Stderr = &errs
	pipe, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	line, err := bufio.NewReaderSize(pipe, 16).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, accessLog(1), line)
	require.NoError(t, pipe.Close())
	require.NoError(t, c.Wait(), "exit code 0")
	require.Empty(t, errs.String())
}

func TestRecordsAsJSON(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t")
	s.store("t", 0,
		codec.Record{Timestamp: 5, Key: []byte("k<&>"), Value: []byte("ü\n\"\x00"), Headers: []codec.Header{{Key: "trace", Value: []byte("1")}, {Key: "none"}, {Key: "raw", Value: []byte{0xff}}}},
		codec.Record{Timestamp: 6, Key: []byte{0xff, 0xfe}, Value: []byte{0x80}},
		codec.Record{Timestamp: 7},
		codec.Record{Timestamp: 8, Key: []byte{}, Value: []byte{}})
	require.Equal(t, `{"topic":"t","partition":0,"offset":0,"timestamp":5,"key":"k<&>","value":"ü\n\"\u0000","headers":{"none":null,"raw":{"base64":"/w=="},"trace":"1"}}
{"topic":"t","partition":0,"offset":1,"timestamp":6,"key":{"base64":"//4="},"value":{"base64":"gA=="},"headers":{}}
{"topic":"t","partition":0,"offset":2,"timestamp":7,"key":null,"value":null,"headers":{}}
{"topic":"t","partition":0,"offset":3,"timestamp":8,"key":"","value":"","headers":{}}
`, s.do("", "consume", "t", "-o", "json"))
	require.Equal(t, "t 0 0 5 [k<&>] [ü\n\"\x00] [1] []\n", s.do("", "consume", "t", "--max", "1", "--format",
		"{{.Topic}} {{.Partition}} {{.Offset}} {{.Timestamp}} [{{.Key}}] [{{.Value}}] [{{.Headers.trace}}] [{{.Headers.nope}}]"))
	r := s.try("", "consume", "t", "--format", "{{slice .Value 0 2}}")
	require.ErrorContains(t, r.failed, "--format at offset 1 of partition 0: ")
	require.Equal(t, "ü\n", r.out, "what came before is printed")
}

func TestSeveralPartitions(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--partitions", "3")
	for p := range 3 {
		s.do(fmt.Sprintf("%d a\n%d b\n", p, p), "produce", "t", "--partition", fmt.Sprint(p))
	}
	require.Equal(t, "1 a\n1 b\n", s.do("", "consume", "t", "--partition", "1"))
	all := s.do("", "consume", "t")
	require.Equal(t, 6, strings.Count(all, "\n"))
	for p := range 3 {
		require.Less(t, strings.Index(all, fmt.Sprint(p, " a\n")), strings.Index(all, fmt.Sprint(p, " b\n")))
	}
	require.Equal(t, 3, strings.Count(s.do("", "consume", "t", "--from", "offset:1"), " b\n"))
}

// poisoned is a batch whose checksum is right and whose records are not what
// its header says: compressed.
func poisoned(t *testing.T) codec.Batch {
	var b codec.Builder
	b.Append(1000, nil, []byte("not zstd"), nil)
	b.Append(1000, nil, []byte("at all"), nil)
	batch, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	batch[22] |= byte(codec.Zstd) // attributes; the CRC is that of all behind itself
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

// A batch that cannot be read is named, and how to go on behind it.
func TestAPoisonedBatchIsNamed(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--partitions", "2")
	s.store("t", 1, codec.Record{Value: []byte("before")})
	done := make(chan error, 1)
	require.NoError(t, s.client().ProduceBatch(t.Context(), codec.TopicPartition{Topic: "t", Partition: 1}, poisoned(t), func(_ codec.Produced, err error) { done <- err }))
	require.NoError(t, <-done)
	s.store("t", 1, codec.Record{Value: []byte("behind")})
	r := s.try("", "consume", "t")
	require.Equal(t, "before\n", r.out)
	require.ErrorContains(t, r.failed, "consume t: stopped after 1 record: CORRUPT_BATCH: t/1: the batch of the offsets [1, 3) cannot be read: ")
	_, advice, _ := strings.Cut(r.failed.Error(), ": the records behind it: ")
	require.Equal(t, "--partition 1 --from offset:3", advice)
	require.Equal(t, "behind\n", s.do("", append([]string{"consume", "t"}, strings.Fields(advice)...)...))
}
