package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

func TestProduceKeepsEveryByte(t *testing.T) {
	s := newStage(t)
	for i, in := range []string{"a\nb\n", "\n", "\n\n\nx\n", "a\r\nb\r\n", "nul\x00nul\n\xff\xfe not text\n", "no newline at the end", "a\n\nno newline", strings.Repeat("long ", 100_000) + "\nshort\n"} {
		topic := fmt.Sprint("bytes", i)
		s.do(in, "produce", topic, "--create")
		want := in
		if !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		require.Equal(t, want, s.do("", "consume", topic))
	}
	r := s.try("", "produce", "nothing", "--create")
	require.NoError(t, r.failed)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "0 records to nothing: 0 bytes")
	require.Empty(t, s.do("", "consume", "nothing"))
}

func TestAnAccessLogComesBackByteForByte(t *testing.T) {
	s := newStage(t)
	log := accessLog(10_000)
	r := s.try(log, "produce", "access", "--create")
	require.NoError(t, r.failed)
	require.Empty(t, r.out, "the summary goes to standard error")
	require.Contains(t, r.err, "10,000 records to access: ")
	require.Contains(t, r.err, "partition 0 offsets 0 to 9999")
	require.Equal(t, log, s.do("", "consume", "access"))

	got := fromJSON[produced](t, s.do(log, "produce", "access", "--create", "-o", "json"))
	require.Len(t, got, 1)
	require.Equal(t, int64(10_000), got[0].Records)
	require.Equal(t, int64(len(log)-10_000), got[0].Bytes)
	require.Positive(t, got[0].Seconds)
	require.Equal(t, map[codec.Partition][2]codec.Offset{0: {10_000, 19_999}}, got[0].Offsets)
	require.Equal(t, log+log, s.do("", "consume", "access"))
}

func TestFlightsComeBackCompleteAndInOrderPerKey(t *testing.T) {
	s := newStage(t)
	var in strings.Builder
	want := map[string][]string{}
	const flights = 20_000
	for i := range flights {
		origin, line := flight(i)
		want[origin] = append(want[origin], line)
		fmt.Fprintf(&in, "%s\t%s\n", origin, line)
	}
	s.do("", "topic", "create", "flights", "--partitions", "6")
	sum := fromJSON[produced](t, s.do(in.String(), "produce", "flights", "--key-delimiter", "\t", "-o", "json"))[0]
	require.Equal(t, int64(flights), sum.Records)
	require.Equal(t, int64(in.Len()-2*flights), sum.Bytes)

	got := map[string][]string{}
	next := map[codec.Partition]codec.Offset{}
	for _, r := range fromJSON[struct {
		Topic, Key, Value string
		Partition         codec.Partition
		Offset            codec.Offset
		Timestamp         codec.Millis
		Headers           map[string]string
	}](t, s.do("", "consume", "flights", "-o", "json")) {
		require.Equal(t, codec.PartitionFor([]byte(r.Key), 6), r.Partition)
		require.Equal(t, next[r.Partition], r.Offset)
		next[r.Partition]++
		got[r.Key] = append(got[r.Key], r.Value)
	}
	require.Equal(t, want, got)
	for p, n := range next {
		require.Equal(t, [2]codec.Offset{0, n - 1}, sum.Offsets[p])
	}
	require.Len(t, sum.Offsets, len(next))
}

func TestKeysHeadersAndPartitions(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--partitions", "3")
	s.do("k::v::w\n::v\nno key\nk::\n", "produce", "t", "--partition", "2", "--key-delimiter", "::", "--header", "a=b=c", "--header", "empty=")
	got := s.do("", "consume", "t", "-o", "json")
	require.Equal(t, []string{`"k","value":"v::w"`, `"","value":"v"`, `null,"value":"no key"`, `"k","value":""`}, between(got, `"key":`, `,"headers":{"a":"b=c","empty":""}}`))
	require.Equal(t, 4, strings.Count(got, `"topic":"t","partition":2,"offset":`))
}

// between is what stands between two marks, each time.
func between(s, from, to string) (all []string) {
	for {
		_, rest, ok := strings.Cut(s, from)
		if !ok {
			return all
		}
		part, rest, _ := strings.Cut(rest, to)
		all, s = append(all, part), rest
	}
}

func TestARecordAboveTheLimitIsNamed(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "small", "--set", "message.bytes.max=1KiB")
	s.do(accessLog(500), "produce", "small") // its batches stay below the limit, too
	for _, c := range []struct {
		value int
		says  string
	}{
		{1024 - codec.BatchHeaderBytes - 9, ""},
		{1024 - codec.BatchHeaderBytes - 8, "line 3 has 955 bytes, 1025 as a batch of its own: small takes at most 1024 (message.bytes.max, which troupe topic alter can set up to 4194304)"},
		{1024, "line 3 has 1024 bytes, 1094 as a batch of its own: small takes at most 1024"},
		{1025, "line 3 has 1025 bytes: small takes at most 1024"},
		{5 << 20, "line 3 has 5242880 bytes: small takes at most 1024"},
	} {
		r := s.try("one\ntwo\n"+strings.Repeat("x", c.value)+"\nfour\n", "produce", "small")
		if c.says == "" {
			require.NoError(t, r.failed)
			continue
		}
		require.ErrorContains(t, r.failed, "produce to small: stopped after 2 records, all certainly stored: "+c.says)
		require.Equal(t, 1, r.code)
		require.Empty(t, r.out)
	}
	require.Equal(t, 500+4+4*2, strings.Count(s.do("", "consume", "small"), "\n"))
}

// forgetful is a broker whose partitions store so many batches, and do not
// know what becomes of the others: they say so, or nothing at all.
type forgetful struct {
	door
	stores chan struct{} // as many batches as it holds
	says   error
	stuck  chan struct{} // told of a batch that gets no answer
}

func (b forgetful) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	p, err := b.door.Partition(tp)
	return forgetfulLeaf{p, b}, err
}

type forgetfulLeaf struct {
	gateway.Partition
	broker forgetful
}

func (l forgetfulLeaf) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	select {
	case <-l.broker.stores:
		return l.Partition.Produce(ctx, b, reply)
	default:
	}
	if l.broker.says != nil {
		reply(codec.Produced{}, l.broker.says)
		return nil
	}
	select {
	case l.broker.stuck <- struct{}{}:
	default:
	}
	return nil
}

// run runs a command against such a broker, and cuts the connection when a
// batch gets no answer.
func (b forgetful) run(t *testing.T, stores int, in string, args ...string) said {
	b.stores, b.stuck = make(chan struct{}, 7), make(chan struct{}, 1)
	for range stores {
		b.stores <- struct{}{}
	}
	g := gateway.New(b, gateway.Options{})
	listens, err := g.Listen("127.0.0.1:0")
	require.NoError(t, err)
	now, cut := context.WithCancel(context.Background())
	closed, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(closed)
		select {
		case <-b.stuck:
		case <-over:
		}
		cut()
		_ = g.Close(now)
	}()
	r := command(in, append(args, "--server", listens.String())...)
	close(over)
	<-closed
	return r
}

func TestAnUnknownOutcomeIsToldAsSuch(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--set", "message.bytes.max=1KiB")
	b := forgetful{door: door{s.node.broker, s.node.identity}}
	seven := strings.Repeat(strings.Repeat("x", 500)+"\n", 7) // each a batch of its own
	r := b.run(t, 0, seven, "produce", "t", "--no-retry")     // the connection is lost
	const unknown = ` certainly stored, \d records? of unknown outcome, they may be stored or not(, \d records? refused)?; line `
	const none = ` is the first that is not certainly stored, of those behind it 0 are: `
	require.Regexp(t, `^produce to t: 0 records`+unknown+`1`+none+`UNKNOWN: PRODUCE: connection to 127\.0\.0\.1:`, r.failed.Error())
	require.Equal(t, 1, r.code)
	require.Empty(t, r.out)

	b.says = codec.Errorf(codec.Unknown, "the disk takes too long")
	r = b.run(t, 2, seven, "produce", "t", "--no-retry")
	require.Regexp(t, `^produce to t: 2 records`+unknown+`3`+none+`UNKNOWN: the disk takes too long: it may or may not have been carried out: look before doing it again$`, r.failed.Error())
	require.Equal(t, 1, r.code)

	b.says = codec.Errorf(codec.DiskFull, "no room")
	r = b.run(t, 3, seven, "produce", "t", "--no-retry")
	require.EqualError(t, r.failed, "produce to t: 3 records certainly stored, 4 records refused; line 4 is the first that is not certainly stored, of those behind it 0 are: DISK_FULL: no room: make room: trim a topic, lower its retention or grow the disk")
	require.Equal(t, 5, strings.Count(s.do("", "consume", "t"), "\n"), "what was called stored is stored")
}

// refusing is a broker that has no room for one batch, then has.
type refusing struct {
	door
	once chan struct{}
}

func (b refusing) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	p, err := b.door.Partition(tp)
	return refusingLeaf{p, b.once}, err
}

type refusingLeaf struct {
	gateway.Partition
	once chan struct{}
}

func (l refusingLeaf) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	select {
	case <-l.once:
		return codec.Errorf(codec.DiskFull, "no room")
	default:
		return l.Partition.Produce(ctx, b, reply)
	}
}

// What is behind a refused batch and did not leave yet stays here, although
// the broker would have room again; what is stored is told by number.
func TestProduceStopsBehindARefusal(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--set", "message.bytes.max=1KiB")
	b := refusing{door{s.node.broker, s.node.identity}, make(chan struct{}, 1)}
	b.once <- struct{}{}
	g := gateway.New(b, gateway.Options{})
	listens, err := g.Listen("127.0.0.1:0")
	require.NoError(t, err)
	r := command(strings.Repeat(strings.Repeat("x", 500)+"\n", 20_000), "produce", "t", "--no-retry", "--server", listens.String())
	require.ErrorContains(t, r.failed, "; line 1 is the first that is not certainly stored, of those behind it ")
	require.ErrorContains(t, r.failed, ": DISK_FULL: no room")
	var stored int
	_, err = fmt.Sscanf(strings.ReplaceAll(r.failed.Error(), ",", ""), "produce to t: %d", &stored)
	require.NoError(t, err)
	require.Less(t, stored, 2000, "no more than was in flight")
	require.Equal(t, stored, strings.Count(s.do("", "consume", "t"), "\n"))
	require.NoError(t, g.Close(context.Background()))
}

// unheard is a broker that stores a batch now and then, and says that it does not
// know.
type unheard struct {
	door
	batches *atomic.Int32
}

func (b unheard) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	p, err := b.door.Partition(tp)
	return unheardLeaf{p, b.batches}, err
}

type unheardLeaf struct {
	gateway.Partition
	batches *atomic.Int32
}

func (l unheardLeaf) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	if l.batches.Add(1)%20 != 3 {
		return l.Partition.Produce(ctx, b, reply)
	}
	return l.Partition.Produce(ctx, b, func(codec.Produced, error) {
		reply(codec.Produced{}, codec.Errorf(codec.Unknown, "nobody knows"))
	})
}

// What is not answered is sent again, and stored once.
func TestProduceStoresEachLineOnce(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t", "--set", "message.bytes.max=1KiB")
	b := unheard{door{s.node.broker, s.node.identity}, new(atomic.Int32)}
	g := gateway.New(b, gateway.Options{})
	listens, err := g.Listen("127.0.0.1:0")
	require.NoError(t, err)
	in := accessLog(500)
	r := command(in, "produce", "t", "-o", "json", "--server", listens.String())
	require.NoError(t, r.failed)
	require.Equal(t, map[codec.Partition][2]codec.Offset{0: {0, 499}}, fromJSON[produced](t, r.out)[0].Offsets)
	require.Greater(t, b.batches.Load(), int32(100), "some came again")
	require.Equal(t, in, s.do("", "consume", "t"))
	require.NoError(t, g.Close(context.Background()))
}

func TestAnInterruptedProduceStoresWhatItRead(t *testing.T) {
	s := newStage(t)
	in, typed := io.Pipe()
	ctx, interrupt := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var out, errs bytes.Buffer
	go func() { done <- run(ctx, []string{"produce", "t", "--create", "--server", s.address}, in, &out, &errs) }()
	_, err := io.WriteString(typed, "one\ntwo\nthr")
	require.NoError(t, err)
	follower := s.follow("t", 2) // both lines are there before the input ends
	require.Equal(t, []string{"one", "two"}, follower)
	interrupt()
	require.EqualError(t, <-done, "produce to t: stopped after 2 records, all certainly stored: interrupted")
	require.NoError(t, typed.Close())
	require.Equal(t, "one\ntwo\n", s.do("", "consume", "t"))
}

// follow is the first n lines of a topic, as they come. It waits for the
// topic.
func (s *stage) follow(topic string, n int) []string {
	s.Helper()
	for s.try("", "topic", "describe", topic).failed != nil {
		require.NoError(s, s.Context().Err())
	}
	return strings.Split(strings.TrimSuffix(s.do("", "consume", topic, "--follow", "--max", fmt.Sprint(n)), "\n"), "\n")
}
