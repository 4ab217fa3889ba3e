package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowds are hostile clients with a breath between two visits, and without.
var crowds = []struct {
	name   string
	breath time.Duration
}{{"breath-20ms", 20 * time.Millisecond}, {"no-breath", 0}}

const besiegedRounds, besiegedRate, besiegedFor = 5, 250, 4 * time.Second

// goodResult is what the client that behaves well says it met: `troupe bench`.
type goodResult struct {
	Records int64 `json:"records"`
	Latency struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
		Max float64 `json:"max"`
	} `json:"latency_ms"`
}

// behave is the client that behaves well, a process of its own: so many
// durable records a second whatever the answers do, one in flight, latency
// from when each was due.
func behave(ctx context.Context, broker *Broker) (r goodResult, err error) {
	out, log, exit, err := broker.Run(ctx, "bench", "produce", "--server", broker.Address, "--topic", "good", "--partitions", "1", "--rate", fmt.Sprint(besiegedRate),
		"--record-size", "100", "--batch-bytes", "256", "--in-flight", "1", "--duration", besiegedFor.String(), "--http", "", "-o", "json")
	if err == nil && exit != 0 {
		err = errors.New(log)
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &r)
	}
	return r, err
}

// behaveBeside is behave while a crowd is there.
func behaveBeside(ctx context.Context, broker *Broker, job siegeJob) (r goodResult, s sieged, err error) {
	job.Address, job.Nice = broker.Address, siegeNice
	stop, err := besiege(ctx, job)
	if err != nil {
		return r, s, err
	}
	r, err = behave(ctx, broker)
	s, e := stop()
	return r, s, errors.Join(err, e)
}

// besiegedRound is the good client quiet, beside hostile clients, and beside a
// process that does nothing but keep as many cores busy.
type besiegedRound struct{ quiet, beside, burning goodResult }

func (r besiegedRound) String() string {
	return fmt.Sprintf("quiet p50 %.2f, p99 %.2f ms; beside p50 %.2f, p99 %.2f, max %.1f ms: %.1f times; beside burning cores p50 %.2f, p99 %.2f, max %.1f ms: %.1f times",
		r.quiet.Latency.P50, r.quiet.Latency.P99, r.beside.Latency.P50, r.beside.Latency.P99, r.beside.Latency.Max, ratioOf(r), r.burning.Latency.P50,
		r.burning.Latency.P99, r.burning.Latency.Max, burningRatioOf(r))
}

func ratioOf(r besiegedRound) float64        { return r.beside.Latency.P99 / r.quiet.Latency.P99 }
func burningRatioOf(r besiegedRound) float64 { return r.burning.Latency.P99 / r.quiet.Latency.P99 }

// BenchmarkFigureHostile is how long the answers take a client that behaves
// well, quiet and beside hostile clients, each of the three in a process of
// its own, and what the broker takes of memory and cores meanwhile.
func BenchmarkFigureHostile(b *testing.B) {
	for _, crowd := range crowds {
		b.Run(crowd.name, func(b *testing.B) {
			for range b.N {
				broker, _, ctx := measured(b, binary(b))
				fortress(b, ctx, broker, "good")
				var all []besiegedRound
				before := machine()
				for n := range fromEnv(b, "TROUPE_FIGURES_ROUNDS", besiegedRounds) {
					all = append(all, besiegedOnce(b, ctx, broker, crowd.breath))
					b.Logf("round %d: %v", n+1, all[n])
				}
				u, err := ReadUsage(broker.PID())
				require.NoError(b, err)
				require.Empty(b, broker.Errors())
				b.Logf("peak %d MB; %s", u.Peak/1e6, machine().since(before))
				reportRounds(b, all)
				b.ReportMetric(float64(u.Peak)/1e6, "peak-MB")
				require.Less(b, u.Peak, int64(besiegedPeak))
			}
		})
	}
}

func besiegedOnce(b *testing.B, ctx context.Context, broker *Broker, breath time.Duration) (r besiegedRound) {
	var s sieged
	var err error
	r.quiet, err = behave(ctx, broker)
	require.NoError(b, err)
	was, err := ReadUsage(broker.PID())
	require.NoError(b, err)
	r.beside, s, err = behaveBeside(ctx, broker, siegeJob{Clients: siegeClients, Breath: breath})
	require.NoError(b, err)
	is, err := ReadUsage(broker.PID())
	require.NoError(b, err)
	b.Logf("%.0f visits/s take %.2f cores, the broker %.2f", float64(s.Visits)/s.Lasted.Seconds(), s.CPU.Seconds()/s.Lasted.Seconds(), (is.CPU-was.CPU).Seconds()/s.Lasted.Seconds())
	r.burning, _, err = behaveBeside(ctx, broker, siegeJob{Burn: 4})
	require.NoError(b, err)
	return r
}

// reportRounds reports medians, and logs spreads.
func reportRounds(b *testing.B, all []besiegedRound) {
	for _, m := range []struct {
		name string
		of   func(besiegedRound) float64
	}{
		{"quiet-p50-ms", func(r besiegedRound) float64 { return r.quiet.Latency.P50 }},
		{"quiet-p99-ms", func(r besiegedRound) float64 { return r.quiet.Latency.P99 }},
		{"beside-p50-ms", func(r besiegedRound) float64 { return r.beside.Latency.P50 }},
		{"beside-p99-ms", func(r besiegedRound) float64 { return r.beside.Latency.P99 }},
		{"ratio", ratioOf},
		{"burning-ratio", burningRatioOf},
	} {
		var values []float64
		for _, r := range all {
			values = append(values, m.of(r))
		}
		b.ReportMetric(median(values), m.name)
		b.Logf("%s %.2f (%.2f to %.2f)", m.name, median(values), slices.Min(values), slices.Max(values))
	}
}

// BenchmarkFigureHostileProfile is where the broker's CPU goes meanwhile.
func BenchmarkFigureHostileProfile(b *testing.B) {
	for range b.N {
		broker, ctx, door := profiled(b)
		fortress(b, ctx, broker)
		stop, err := besiege(ctx, siegeJob{Address: broker.Address, Clients: siegeClients, Nice: siegeNice})
		require.NoError(b, err)
		text, err := top(ctx, b.TempDir(), door+"profile?seconds=8", []string{"-nodecount=25"}, []string{"-cum", "-nodecount=45"})
		require.NoError(b, err)
		s, err := stop()
		require.NoError(b, err)
		heap, err := top(ctx, b.TempDir(), door+"heap", []string{"-sample_index=inuse_space", "-nodecount=25"})
		require.NoError(b, err)
		u, err := ReadUsage(broker.PID())
		require.NoError(b, err)
		fmt.Printf("\n%d visits\n%s\nresident %d MB, peak %d MB\n%s\n", s.Visits, text, u.Resident/1e6, u.Peak/1e6, heap) // Log shows ten lines
	}
}
