package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

const (
	speedPairs      = 5
	speedFor        = 5 * time.Second
	speedPartitions = 4
	speedInFlight   = 8
)

// BenchmarkFigureSpeed is the ratio of the broker to the plain program: durable
// produce of ready 64 KiB batches over 4 partitions through the gateway, then
// the same number of bytes to four files, and so on in turn.
func BenchmarkFigureSpeed(b *testing.B) {
	for range b.N {
		broker, c, ctx := measured(b, binary(b))
		var troupe, plain, ratios, cpus []float64
		var p50, p99 []time.Duration
		before := machine()
		for pair := range speedPairs {
			topic := codec.Topic(fmt.Sprint("speed-", pair))
			_, err := c.CreateTopic(ctx, codec.CreateTopic{Topic: topic, Partitions: speedPartitions})
			require.NoError(b, err)
			syscall.Sync()
			was, err := ReadUsage(broker.PID())
			require.NoError(b, err)
			own := ownCPU()
			r, err := blast{address: broker.Address, topic: topic, partitions: speedPartitions, inFlight: speedInFlight, batches: readyBatches(), during: speedFor}.run(ctx)
			require.NoError(b, err)
			own = ownCPU() - own
			is, err := ReadUsage(broker.PID())
			require.NoError(b, err)
			require.NoError(b, c.DeleteTopic(ctx, topic))

			syscall.Sync()
			dir := filepath.Join(b.TempDir(), "plain")
			require.NoError(b, os.Mkdir(dir, 0o750))
			q, err := runPlain(ctx, plainJob{dir, r.bytes})
			require.NoError(b, err)
			require.NoError(b, os.RemoveAll(dir))

			gb := float64(r.bytes) / 1e9
			speed := float64(q.Bytes) / 1e6 / q.Elapsed.Seconds()
			cpu := (is.CPU - was.CPU).Seconds() / gb
			troupe, plain, ratios, cpus = append(troupe, r.mbPerSecond()), append(plain, speed), append(ratios, r.mbPerSecond()/speed), append(cpus, cpu)
			p50, p99 = append(p50, r.quantile(0.5)), append(p99, r.quantile(0.99))
			b.Logf("pair %d: troupe %.0f MB/s (broker %.2f CPU s/GB, client %.2f; p50 %v, p99 %v), plain %.0f MB/s (%.2f CPU s/GB), ratio %.2f", pair+1,
				r.mbPerSecond(), cpu, own.Seconds()/gb, r.quantile(0.5).Round(10*time.Microsecond), r.quantile(0.99).Round(10*time.Microsecond),
				speed, q.CPU.Seconds()/float64(q.Bytes)*1e9, r.mbPerSecond()/speed)
		}
		b.Logf("spread: troupe %.0f-%.0f MB/s, plain %.0f-%.0f MB/s, ratio %.2f-%.2f; %s", slices.Min(troupe), slices.Max(troupe),
			slices.Min(plain), slices.Max(plain), slices.Min(ratios), slices.Max(ratios), machine().since(before))
		b.ReportMetric(median(troupe), "troupe-MB/s")
		b.ReportMetric(median(plain), "plain-MB/s")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(median(cpus), "broker-cpu-s/GB")
		b.ReportMetric(float64(median(p50).Microseconds())/1e3, "p50-ms")
		b.ReportMetric(float64(median(p99).Microseconds())/1e3, "p99-ms")
	}
}

// calls are the system calls of the way of a record, and what collects garbage.
const calls = `^golang.org/x/sys/unix\.(Pwritev|Fdatasync|Fallocate|SyncFileRange)$|^syscall\.(read|write)$|^internal/poll\.writev$|^runtime\.(gcBgMarkWorker|futex)$`

// BenchmarkFigureProfile is where the broker's CPU goes meanwhile.
func BenchmarkFigureProfile(b *testing.B) {
	for range b.N {
		broker, ctx, door := profiled(b, codec.CreateTopic{Topic: "speed", Partitions: speedPartitions})
		type produced struct {
			blasted
			err error
		}
		done := make(chan produced, 1)
		go func() {
			r, err := blast{address: broker.Address, topic: "speed", partitions: speedPartitions, inFlight: speedInFlight, batches: readyBatches(), during: 10 * time.Second}.run(ctx)
			done <- produced{r, err}
		}()
		text, err := top(ctx, b.TempDir(), door+"profile?seconds=8", []string{"-nodecount=10"},
			[]string{"-cum", "-nodecount=12", "-show=" + calls})
		require.NoError(b, err)
		r := <-done
		require.NoError(b, r.err)
		fmt.Printf("\n%.0f MB/s\n%s\n", r.mbPerSecond(), text) // Log shows ten lines
	}
}

// machineState is how busy the machine is with others.
type machineState struct {
	load  string
	all   int64 // ticks
	steal int64
}

func machine() (m machineState) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		panic("chaos: " + err.Error())
	}
	m.load = strings.Join(strings.Fields(string(load))[:3], " ")
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		panic("chaos: " + err.Error())
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, f := range strings.Fields(line)[1:9] {
		m.all += number(f)
		if i == 7 {
			m.steal = number(f)
		}
	}
	return m
}

func (m machineState) since(was machineState) string {
	return fmt.Sprintf("load average %s before, %s after, steal %.1f %%", was.load, m.load, 100*float64(m.steal-was.steal)/float64(max(1, m.all-was.all)))
}
