package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// benched runs a bench and reads its JSON.
func (s *stage) bench(args ...string) benched {
	s.Helper()
	all := fromJSON[benched](s, s.do("", append(append([]string{"bench"}, args...), "-o", "json", "--http", "")...))
	require.Len(s, all, 1)
	return all[0]
}

func (b benched) check(t *testing.T) {
	t.Helper()
	require.Positive(t, b.Records)
	require.Zero(t, b.Errors)
	require.InDelta(t, float64(b.Records)/b.Seconds, b.RecordsPerS, 1)
	require.InDelta(t, float64(b.Bytes)/b.Seconds/1e6, b.MBPerS, 0.01)
	if l := b.LatencyMS; l != nil {
		require.Positive(t, l.P50)
		require.IsNonDecreasing(t, []float64{l.P50, l.P95, l.P99, l.P999, l.Max})
	}
}

func TestBenchProduce(t *testing.T) {
	s := newStage(t)
	b := s.bench("produce", "--topic", "t", "--duration", "200ms", "--partitions", "2", "--batch-bytes", "8192", "--record-size", "100", "--in-flight", "4")
	b.check(t)
	require.GreaterOrEqual(t, b.Seconds, 0.2)
	require.NotNil(t, b.LatencyMS)
	require.Nil(t, b.BytesPerFsync, "0 would be a figure")
	d := fromJSON[describedTopic](t, s.do("", "topic", "describe", "t", "-o", "json"))[0]
	require.Len(t, d.Partitions, 2)
	require.Equal(t, b.Records, int64(d.Partitions[0].HighWatermark+d.Partitions[1].HighWatermark), "what it counted is there")
	require.Equal(t, b.Bytes, d.Partitions[0].Bytes+d.Partitions[1].Bytes)

	r := s.try("", "bench", "produce", "--records", "1001", "--batch-bytes", "10240", "--compression", "zstd", "--connections", "3", "--durability", "os", "--http", "")
	require.NoError(t, r.failed)
	require.Empty(t, r.out)
	require.Regexp(t, `^records +1,001 +[\d,]+/s\nMB +0\.\d +[\d.]+/s\nseconds +[\d.]+\nlatency in ms +p50 [\d.]+ +p95 [\d.]+ +p99 [\d.]+ +p99\.9 [\d.]+ +max [\d.]+\nerrors +0\n$`, r.err)
	require.Equal(t, "t", strings.Fields(s.do("", "topic", "list"))[5], "and of its own topic nothing is left")
	require.NotContains(t, s.do("", "topic", "list"), "bench-")
}

// Batches are numbered one behind the other, round behind 2^31-1, and each copy is
// used again when its answer is there.
func TestABenchNumbersItsBatches(t *testing.T) {
	v := bench{recordSize: 10, batchBytes: 1000}
	b, err := v.batch(3)
	require.NoError(t, err)
	n := numbers{who: &codec.ProducerIdentity{ID: 7}, next: math.MaxInt32 - 4, copies: make([]codec.Batch, 2)}
	var all []codec.Batch
	for _, first := range []int32{math.MaxInt32 - 4, math.MaxInt32 - 1, 1, 4} {
		all = append(all, n.write(b))
		one := all[len(all)-1]
		require.NoError(t, one.Verify(0))
		require.Equal(t, []int64{7, 0, int64(first)}, []int64{one.ProducerID(), int64(one.ProducerEpoch()), int64(one.BaseSequence())})
	}
	require.Same(t, &all[0][0], &all[2][0])
	require.NotSame(t, &all[0][0], &all[1][0])
	require.Equal(t, int64(-1), b.ProducerID())

	s := newStage(t)
	s.bench("produce", "--duration", "100ms", "--in-flight", "9").check(t)
	s.bench("produce", "--records", "30000", "--idempotent=false", "--in-flight", "2").check(t)
	require.EqualValues(t, 30001, s.bench("produce", "--records", "30001", "--in-flight", "3").Records)
}

// With a rate, as many batches leave as were due, whatever their answers do;
// latency counts from when they were due.
func TestBenchKeepsToItsRate(t *testing.T) {
	s := newStage(t)
	b := s.bench("produce", "--duration", "300ms", "--rate", "1000", "--batch-bytes", "138", "--record-size", "10", "--partitions", "3")
	b.check(t)
	require.InDelta(t, 301, b.Records, 3)
	b = s.bench("produce", "--duration", "300ms", "--rate", "1MB/s", "--batch-bytes", "1300", "--record-size", "1000")
	b.check(t)
	require.InDelta(t, 0.3e6, b.Bytes, 0.02e6)
}

// A broker that answers late is not let off: what was due meanwhile is late as
// well, though it was sent only when there was an answer.
func TestLatencyCountsFromWhenItWasDue(t *testing.T) {
	s := newStage(t)
	late := &lateDoor{door: door{s.node.broker, s.node.identity}}
	r := late.run(t, "bench", "produce", "--records", "40", "--rate", "1000", "--record-size", "10", "--batch-bytes", "138", "--partitions", "1", "--in-flight", "1", "-o", "json", "--http", "")
	require.NoError(t, r.failed)
	b := fromJSON[benched](t, r.out)[0]
	b.check(t)
	require.GreaterOrEqual(t, b.LatencyMS.Max, 200.0, "the late answer")
	require.GreaterOrEqual(t, b.LatencyMS.P50, 150.0, "and what it held up")
}

func TestBenchConsume(t *testing.T) {
	s := newStage(t)
	b := s.bench("consume", "--records", "5000", "--record-size", "100", "--partitions", "3")
	b.check(t)
	require.EqualValues(t, 5000, b.Records)
	require.EqualValues(t, 5000*100, b.Bytes)
	require.Nil(t, b.LatencyMS)
	require.Empty(t, s.do("", "topic", "list", "-o", "json"))

	s.do("", "topic", "create", "t", "--partitions", "2")
	s.do(accessLog(100), "produce", "t", "--partition", "0")
	s.do(accessLog(100), "produce", "t", "--partition", "1")
	require.EqualValues(t, 200, s.bench("consume", "--topic", "t", "--partitions", "2").Records)
	require.EqualValues(t, 51, s.bench("consume", "--topic", "t", "--partitions", "2", "--records", "51").Records)
	require.Equal(t, accessLog(100), s.do("", "consume", "t", "--partition", "1"), "it stays")
}

func TestBenchLatency(t *testing.T) {
	s := newStage(t)
	file := filepath.Join(t.TempDir(), "l.hgrm")
	b := s.bench("latency", "--records", "300", "--rate", "2000", "--partitions", "3", "--record-size", "100", "--hgrm", file)
	b.check(t)
	require.EqualValues(t, 300, b.Records)
	require.EqualValues(t, 300*100, b.Bytes)
	p, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(p), "Value\tPercentile\tTotalCount\t1/(1-Percentile)")
	require.Contains(t, string(p), "Total count    =          300]")

	s.do("one\n", "produce", "t", "--create")
	b = s.bench("latency", "--topic", "t", "--records", "100", "--rate", "10000", "--partitions", "1", "--batch-bytes", "4096", "--compression", "lz4")
	require.EqualValues(t, 100, b.Records, "and what others wrote is none of it")
}

// Bytes per fsync come from the broker's own counters.
func TestBenchAsksForFsyncs(t *testing.T) {
	s := metricsStage(t, serveConfig{})
	r := s.do("", "bench", "produce", "--records", "2000", "--batch-bytes", "65536", "-o", "json", "--http", s.node.http.address.String())
	b := fromJSON[benched](t, r)[0]
	require.NotNil(t, b.BytesPerFsync)
	require.Greater(t, *b.BytesPerFsync, 1000.0)
	v := bench{http: closedPort(t)}
	_, known := v.fsyncs()
	require.False(t, known)
	require.Nil(t, v.perFsync(fsyncs{}, known))
}

func TestABenchWithoutABrokerEnds(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "bench", "--partitions", "6")
	b := forgetful{door: door{s.node.broker, s.node.identity}}
	r := b.run(t, 0, "", "bench", "produce", "--topic", "bench", "--duration", "10m", "-o", "json", "--http", "")
	// Which of the partitions hears of it first is chance: one that waits for an
	// answer, or one that has a batch to send.
	require.Regexp(t, `^bench produce: \d+ errors?: (UNKNOWN|UNAVAILABLE): .*connect`, r.failed.Error())
	require.Equal(t, 1, r.code)
	require.Positive(t, fromJSON[benched](t, r.out)[0].Errors)
}

// committed is how many records the broker's topics were given.
func (s *stage) committed() (n int64) {
	for _, p := range s.node.broker.Stats().Partitions {
		n += p.Produced.Records
	}
	return n
}

// An interrupt ends it early: it reports, removes its topic and says so.
func TestABenchIsInterrupted(t *testing.T) {
	s := newStage(t)
	for _, verb := range []string{"produce", "latency"} {
		ctx, stop := context.WithCancel(context.Background())
		go func() {
			for s.committed() == 0 {
				runtime.Gosched()
			}
			stop()
		}()
		var out, errs strings.Builder
		err := run(ctx, []string{"bench", verb, "--duration", "10m", "--server", s.address, "-o", "json", "--http", ""}, strings.NewReader(""), &out, &errs)
		require.ErrorContains(t, err, "bench "+verb+": interrupted after ")
		require.Equal(t, 1, exitCode(err))
		b := fromJSON[benched](t, out.String())[0]
		require.Zero(t, b.Errors)
		if verb == "produce" {
			require.Positive(t, b.Records, "what was under way is waited for")
		}
	}
	require.Empty(t, s.do("", "topic", "list", "-o", "json"))
}

func TestRates(t *testing.T) {
	for text, want := range map[string]rate{
		"": {}, "5000": {records: 5000}, "5000/s": {records: 5000}, "5000 records/s": {records: 5000}, "0.5": {records: 0.5},
		"50MB/s": {bytes: 50e6}, "50MB": {bytes: 50e6}, "1.5 GB/s": {bytes: 1.5e9}, "64KiB/s": {bytes: 65536},
	} {
		got, err := parseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, wrong := range []string{"0", "-1", "fast", "5 MBit/s", "NaN", "Inf", "MB/s", "5 apples"} {
		_, err := parseRate(wrong)
		require.Equal(t, 2, exitCode(err), wrong)
	}
	require.Equal(t, 10*time.Millisecond, rate{records: 6400}.every(64, 1))
	require.Equal(t, time.Millisecond, rate{bytes: 64e6}.every(1, 64e3))
}

// What is measured stays within a thousandth.
func TestTheMetersQuantiles(t *testing.T) {
	m := newMeter(true)
	for i := range 10_000 {
		m.answered(time.Duration(i+1)*100*time.Microsecond, 1, 10, nil)
	}
	m.answered(2*latencyMax, 1, 10, nil)
	m.took = time.Second
	b := m.result()
	require.InEpsilon(t, 500, b.LatencyMS.P50, 0.002)
	require.InEpsilon(t, 990, b.LatencyMS.P99, 0.002)
	require.InEpsilon(t, float64(latencyMax.Milliseconds()), b.LatencyMS.Max, 0.002)
	require.EqualValues(t, 10_001, b.Records)
	require.EqualValues(t, codec.Offset(100_010), b.Bytes)
}

// lateDoor is a broker whose first answer comes 200 ms late.
type lateDoor struct {
	door
	once sync.Once
}

func (d *lateDoor) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	p, err := d.door.Partition(tp)
	return lateLeaf{p, d}, err
}

type lateLeaf struct {
	gateway.Partition
	door *lateDoor
}

func (l lateLeaf) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	answer := reply
	l.door.once.Do(func() {
		answer = func(p codec.Produced, err error) { time.AfterFunc(200*time.Millisecond, func() { reply(p, err) }) }
	})
	return l.Partition.Produce(ctx, b, answer)
}

// run runs a command against such a broker.
func (d *lateDoor) run(t *testing.T, args ...string) said {
	g := gateway.New(d, gateway.Options{})
	at, err := g.Listen("127.0.0.1:0")
	require.NoError(t, err)
	r := command("", append(args, "--server", at.String())...)
	require.NoError(t, g.Close(context.Background()))
	return r
}
