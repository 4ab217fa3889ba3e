package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBenchProduce(t *testing.T) {
	s := newStage(t)
	said := s.do("", "bench", "produce", "--seconds", "0.2", "--partitions", "2", "--batch-bytes", "8192", "--record-size", "100", "--in-flight", "4", "-o", "json")
	require.Contains(t, said, `"bytes_per_fsync":null,`, "0 would be a figure")
	b := fromJSON[benched](t, said)[0]
	require.Positive(t, b.Records)
	require.Zero(t, b.Errors)
	require.GreaterOrEqual(t, b.Seconds, 0.2)
	require.InDelta(t, float64(b.Records)/b.Seconds, b.RecordsPerS, 1)
	require.InDelta(t, float64(b.Bytes)/b.Seconds/1e6, b.MBPerS, 0.01)
	l := b.LatencyMS
	require.Positive(t, l.P50)
	require.IsNonDecreasing(t, []float64{l.P50, l.P95, l.P99, l.P999, l.Max})
	d := fromJSON[describedTopic](t, s.do("", "topic", "describe", "bench", "-o", "json"))[0]
	require.Len(t, d.Partitions, 2)
	require.Equal(t, b.Records, int64(d.Partitions[0].HighWatermark+d.Partitions[1].HighWatermark), "what it counted is there")
	require.Equal(t, b.Bytes, d.Partitions[0].Bytes+d.Partitions[1].Bytes)

	text := s.do("", "bench", "produce", "--seconds", "0.2", "--partitions", "1", "--rate", "1000", "--record-size", "1000", "--batch-bytes", "10240")
	require.Contains(t, text, " records/s, ")
	require.Contains(t, text, "latency of a batch in ms: p50 ")
}

// With a rate, as many batches leave as were due.
func TestBenchKeepsToItsRate(t *testing.T) {
	s := newStage(t)
	b := fromJSON[benched](t, s.do("", "bench", "produce", "--seconds", "0.3", "--rate", "1000", "--batch-bytes", "1024", "--record-size", "10", "--in-flight", "1000", "-o", "json"))[0]
	require.LessOrEqual(t, b.Records, int64(300+60))
	require.GreaterOrEqual(t, b.Records, int64(300))
}

func TestABenchWithoutABrokerEnds(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "bench", "--partitions", "4")
	b := forgetful{door: door{s.node.broker, s.node.identity}}
	r := b.run(t, 0, "", "bench", "produce", "--seconds", "600", "-o", "json")
	require.ErrorContains(t, r.failed, "bench produce: ")
	require.ErrorContains(t, r.failed, "UNKNOWN: PRODUCE: connection to ")
	require.Equal(t, 1, r.code)
	require.Positive(t, fromJSON[benched](t, r.out)[0].Errors)
}

// A quantile is never too low, and at most 1/32 too high.
func TestQuantiles(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 100, 10_000} {
		var l latencies
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = time.Duration(chance.Int64N(1 << chance.IntN(40)))
			l.add(all[i])
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.95, 0.99, 0.999, 1} {
			want := all[min(int(q*float64(n)), n-1)]
			got := l.quantile(q)
			require.GreaterOrEqual(t, got, want)
			require.LessOrEqual(t, got, want+want/32)
		}
	}
	for bucket := range 58 * 32 {
		require.Equal(t, bucket, bucketOf(topOf(bucket)))
		require.Equal(t, bucket+1, bucketOf(topOf(bucket)+1))
	}
	require.Zero(t, (&latencies{}).quantiles())
}
