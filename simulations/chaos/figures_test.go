package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// The figures of docs/OPERATIONS.md. They measure and judge nothing, so they
// are benchmarks, which `go test` does not run.

// patienceFor ends a measurement that hangs.
const patienceFor = 20 * time.Minute

// BenchmarkFigureBinary is the size of the binary.
func BenchmarkFigureBinary(b *testing.B) {
	for range b.N {
		for name, flags := range map[string][]string{"plain": {"-trimpath"}, "stripped": {"-trimpath", "-ldflags", "-s -w"}} {
			out := filepath.Join(b.TempDir(), name)
			require.NoError(b, Build(b.Context(), out, flags...))
			info, err := os.Stat(out)
			require.NoError(b, err)
			b.ReportMetric(float64(info.Size())/1e6, name+"-MB")
		}
	}
}

// measured is a broker that figures are taken of, and a client of it.
func measured(b *testing.B, binary string, topics ...codec.CreateTopic) (*Broker, *client.Client, context.Context) {
	ctx, cancel := context.WithTimeout(b.Context(), patienceFor)
	b.Cleanup(cancel)
	broker, err := NewBroker(binary, filepath.Join(b.TempDir(), "data"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, broker.Kill()) })
	require.NoError(b, broker.Start(ctx))
	c, err := client.Dial(ctx, []string{broker.Address}, client.Options{})
	require.NoError(b, err)
	b.Cleanup(c.Close)
	for _, t := range topics {
		_, err := c.CreateTopic(ctx, t)
		require.NoError(b, err)
	}
	return broker, c, ctx
}

// spreads are the ways to have many partitions.
var spreads = []struct {
	name   string
	topics []codec.CreateTopic
}{
	{"0", nil},
	{"1x1000", many(1, 1000)},
	{"10x100", many(10, 100)},
}

func many(topics, partitions int) (all []codec.CreateTopic) {
	for i := range topics {
		all = append(all, codec.CreateTopic{Topic: codec.Topic(fmt.Sprint("idle-", i)), Partitions: int32(partitions)})
	}
	return all
}

// BenchmarkFigureIdle is the memory of a broker that nobody talks to, 10 s
// after its topics were made and again after a restart, and the CPU it uses.
func BenchmarkFigureIdle(b *testing.B) {
	for _, spread := range spreads {
		b.Run(spread.name, func(b *testing.B) {
			for range b.N {
				broker, _, ctx := measured(b, binary(b), spread.topics...)
				made := idle(b, broker)
				b.ReportMetric(float64(made.Resident)/1e6, "made-MB")
				require.NoError(b, broker.Stop(StopWithin))
				require.NoError(b, broker.Start(ctx))
				restarted := idle(b, broker)
				b.ReportMetric(float64(restarted.Resident)/1e6, "restarted-MB")
				b.ReportMetric(float64(restarted.Peak)/1e6, "peak-MB")
				b.ReportMetric(idleCPU(b, broker)*1e3, "cpu-ms/s")
				b.ReportMetric(float64(restarted.Descriptors), "descriptors")
				b.ReportMetric(float64(restarted.Threads), "threads")
			}
		})
	}
}

const (
	idleFor = 10 * time.Second
	// settleFor is until every log that was opened has rested once.
	settleFor = 15 * time.Second
	watchFor  = 20 * time.Second
)

// idle is what the process holds after idleFor.
func idle(b *testing.B, broker *Broker) Usage {
	time.Sleep(idleFor)
	u, err := ReadUsage(broker.PID())
	require.NoError(b, err)
	return u
}

// idleCPU is how many CPU seconds an idle broker takes a second.
func idleCPU(b *testing.B, broker *Broker) float64 {
	time.Sleep(settleFor)
	was, err := ReadUsage(broker.PID())
	require.NoError(b, err)
	time.Sleep(watchFor)
	is, err := ReadUsage(broker.PID())
	require.NoError(b, err)
	return (is.CPU - was.CPU).Seconds() / watchFor.Seconds()
}

// BenchmarkFigureStart is the time from exec to the ready line, with what the
// directory holds.
func BenchmarkFigureStart(b *testing.B) {
	for _, spread := range spreads {
		b.Run(spread.name, func(b *testing.B) {
			for range b.N {
				broker, _, ctx := measured(b, binary(b), spread.topics...)
				if spread.topics == nil {
					require.NoError(b, broker.Kill())
					starts(b, ctx, broker, "empty", func() { require.NoError(b, os.RemoveAll(broker.Dir)) })
					require.NoError(b, broker.Start(ctx))
				}
				startsAllWays(b, ctx, broker)
			}
		})
	}
	for _, durability := range []string{"os", "fsync"} {
		b.Run("10GB-"+durability, func(b *testing.B) {
			for range b.N {
				startsFull(b, durability)
			}
		})
	}
}

// startsFull measures starts with many closed segments: first after a kill
// right behind the last answer, then after clean stops.
func startsFull(b *testing.B, durability string) {
	broker, _, ctx := measured(b, binary(b), codec.CreateTopic{Topic: "big", Partitions: 4,
		Settings: map[string]string{"durability": durability, "segment.bytes": "64MiB", "retention.time": "-1"}})
	r, err := blast{address: broker.Address, topic: "big", partitions: 4, inFlight: 8, batches: readyBatches(),
		bytes: int64(fromEnv(b, "TROUPE_FIGURES_BYTES", 10e9))}.run(ctx)
	require.NoError(b, err)
	b.Logf("%d bytes in %v: %.0f MB/s", r.bytes, r.elapsed, r.mbPerSecond())
	require.NoError(b, broker.Kill())
	require.NoError(b, broker.Start(ctx))
	b.ReportMetric(float64(broker.Ready.Microseconds())/1e3, "killed-ms")
	startsAllWays(b, ctx, broker)
}

// startsAllWays takes a running broker, and leaves one.
func startsAllWays(b *testing.B, ctx context.Context, broker *Broker) {
	require.NoError(b, broker.Stop(StopWithin))
	starts(b, ctx, broker, "warm", func() {})
	if err := dropCaches(); err == nil {
		starts(b, ctx, broker, "cold", func() { require.NoError(b, dropCaches()) })
	} else {
		b.Logf("start with a cold cache was not measured: %v", err)
	}
	require.NoError(b, broker.Start(ctx))
	u, err := ReadUsage(broker.PID())
	require.NoError(b, err)
	b.ReportMetric(float64(u.Resident)/1e6, "ready-MB")
	b.ReportMetric(u.CPU.Seconds()*1e3, "cpu-ms")
}

const startsTaken = 5

// starts reports the median of some starts, and stops cleanly behind each.
func starts(b *testing.B, ctx context.Context, broker *Broker, name string, before func()) {
	var all []time.Duration
	for range startsTaken {
		before()
		require.NoError(b, broker.Start(ctx))
		all = append(all, broker.Ready)
		require.NoError(b, broker.Stop(StopWithin))
	}
	b.Logf("%s: %v", name, all)
	b.ReportMetric(float64(median(all).Microseconds())/1e3, name+"-ms")
}

// dropCaches makes the kernel forget what it has read; only root may.
func dropCaches() error {
	if err := exec.Command("sync").Run(); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

func median[T time.Duration | float64](all []T) T {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

// buildProfiled builds the binary with a door for profiles, by an overlay.
func buildProfiled(b *testing.B) string {
	root, err := filepath.Abs("../..")
	require.NoError(b, err)
	dir := b.TempDir()
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "cmd", "troupe", "chaosprofile.go"): filepath.Join(root, "simulations", "chaos", "testdata", "profile.go")}})
	require.NoError(b, err)
	name := filepath.Join(dir, "overlay.json")
	require.NoError(b, os.WriteFile(name, overlay, 0o600))
	out := filepath.Join(dir, "troupe")
	require.NoError(b, Build(b.Context(), out, "-overlay", name))
	return out
}

// profiled is a broker with the door, and the address of the door.
func profiled(b *testing.B, topics ...codec.CreateTopic) (*Broker, context.Context, string) {
	door, err := freeAddress()
	require.NoError(b, err)
	b.Setenv("TROUPE_CHAOS_PPROF", door)
	broker, _, ctx := measured(b, buildProfiled(b), topics...)
	return broker, ctx, "http://" + door + "/debug/pprof/"
}

// top fetches a profile and returns its hottest lines, once for each list of
// flags of pprof.
func top(ctx context.Context, dir, address string, flags ...[]string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	profile, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "profile")
	if err := os.WriteFile(name, profile, 0o600); err != nil {
		return "", err
	}
	all := ""
	for _, f := range flags {
		out, err := exec.CommandContext(ctx, "go", append(append([]string{"tool", "pprof", "-top"}, f...), name)...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("go tool pprof: %w: %s", err, out)
		}
		all += string(out) + "\n"
	}
	return strings.TrimSpace(all), nil
}

// BenchmarkFigureHeap is where the memory of 1,000 idle partitions is.
func BenchmarkFigureHeap(b *testing.B) {
	for range b.N {
		broker, ctx, door := profiled(b, many(1, 1000)...)
		require.NoError(b, broker.Stop(StopWithin))
		require.NoError(b, broker.Start(ctx))
		u := idle(b, broker)
		text, err := top(ctx, b.TempDir(), door+"heap", []string{"-sample_index=inuse_space", "-nodecount=25"})
		require.NoError(b, err)
		fmt.Printf("\nresident %.1f MB\n%s\n", float64(u.Resident)/1e6, text) // Log shows ten lines
	}
}
