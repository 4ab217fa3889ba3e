package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

const clusterBrokers = 3

// measuredCluster is three brokers on the loopback that figures are taken of, and a
// client of them.
func measuredCluster(b *testing.B, binary string, prepare func(*Broker)) (*Cluster, *client.Client, context.Context) {
	ctx, cancel := context.WithTimeout(b.Context(), patienceFor)
	b.Cleanup(cancel)
	c, err := NewCluster(ctx, binary, b.TempDir(), clusterBrokers, nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Kill()) })
	for _, one := range c.Brokers {
		prepare(one)
	}
	require.NoError(b, c.Start(ctx))
	user, err := c.servers().client(ctx, "chaos-figures")
	require.NoError(b, err)
	b.Cleanup(user.Close)
	return c, user, ctx
}

// usages are what the brokers hold of the machine now.
func usages(b *testing.B, brokers []*Broker) (all []Usage) {
	for _, one := range brokers {
		u, err := ReadUsage(one.PID())
		require.NoError(b, err)
		all = append(all, u)
	}
	return all
}

// cores are how many cores each broker has kept busy since.
func cores(was, is []Usage, lasted time.Duration) (each []float64, sum float64) {
	for i := range is {
		each = append(each, (is[i].CPU-was[i].CPU).Seconds()/lasted.Seconds())
		sum += each[i]
	}
	return each, sum
}

func residentMB(all []Usage) (each []float64, sum float64) {
	for i := range all {
		each = append(each, float64(all[i].Resident)/1e6)
		sum += each[i]
	}
	return each, sum
}

// BenchmarkFigureIdleCluster is the CPU and the memory of three brokers with 1,000
// partitions of three replicas that nobody talks to, after the topic was made and
// again after all three were stopped and started and had balanced their leaders.
func BenchmarkFigureIdleCluster(b *testing.B) {
	for range b.N {
		c, user, ctx := measuredCluster(b, binary(b), func(*Broker) {})
		before := machine()
		begun := time.Now()
		thousand(b, ctx, user)
		b.Logf("made in %v", time.Since(begun).Round(time.Millisecond))
		balanced(b, ctx, user)
		idleCluster(b, c, "made")
		for _, one := range c.Brokers {
			require.NoError(b, one.Stop(StopWithin))
		}
		require.NoError(b, c.Start(ctx))
		balanced(b, ctx, user)
		idleCluster(b, c, "restarted")
		b.Log(machine().since(before))
	}
}

// thousand makes the partitions.
func thousand(b *testing.B, ctx context.Context, user *client.Client) {
	_, err := user.CreateTopic(ctx, codec.CreateTopic{Topic: "idle", Partitions: 1000, Replicas: clusterBrokers})
	require.NoError(b, err)
}

// balanced waits until each partition is led by the first of its replicas: after a
// restart leadership goes back to them for more than a minute, ten partitions a
// second of each broker, and meanwhile nobody is idle.
func balanced(b *testing.B, ctx context.Context, user *client.Client) {
	begun := time.Now()
	for {
		d, err := user.DescribeTopic(ctx, "idle")
		away := slices.IndexFunc(d.Partitions, func(p codec.PartitionDescription) bool { return p.Leader != p.Replicas[0] })
		if err == nil && away < 0 {
			break
		}
		require.NoError(b, wait(ctx, time.Second), "partition %d is led by another (%v)", away, err)
	}
	b.Logf("balanced after %v", time.Since(begun).Round(time.Second))
}

// idleCluster reports what the brokers take when they have settled.
func idleCluster(b *testing.B, c *Cluster, when string) {
	time.Sleep(idleFor + settleFor)
	was, begun := usages(b, c.Brokers), time.Now()
	time.Sleep(watchFor)
	is := usages(b, c.Brokers)
	each, sum := cores(was, is, time.Since(begun))
	mb, mbs := residentMB(is)
	b.Logf("%s: CPU %.1f %% of a core, each %.3f; resident %.0f MB, each %.0f; peak %d MB", when, sum*100, each, mbs, mb, is[0].Peak/1e6)
	b.ReportMetric(sum*100, when+"-cpu-%")
	b.ReportMetric(mbs, when+"-MB")
	b.ReportMetric(slices.Max(mb), when+"-largest-MB")
}

// BenchmarkFigureIdleClusterProfile is where that CPU goes, of each broker.
func BenchmarkFigureIdleClusterProfile(b *testing.B) {
	for range b.N {
		doors := map[*Broker]string{}
		c, user, ctx := measuredCluster(b, buildProfiled(b), withDoors(b, doors))
		thousand(b, ctx, user)
		time.Sleep(idleFor + settleFor)
		profiles(b, ctx, c, doors, "profile?seconds=15", []string{"-nodecount=25"}, []string{"-cum", "-nodecount=60"})
	}
}

// withDoors gives brokers that were built with one a door for profiles.
func withDoors(b *testing.B, doors map[*Broker]string) func(*Broker) {
	return func(one *Broker) {
		door, err := freeAddress()
		require.NoError(b, err)
		one.Env = append(one.Env, "TROUPE_CHAOS_PPROF="+door)
		doors[one] = "http://" + door + "/debug/pprof/"
	}
}

// profiles prints a profile of each broker, taken at once.
func profiles(b *testing.B, ctx context.Context, c *Cluster, doors map[*Broker]string, what string, flags ...[]string) {
	type taken struct {
		text string
		err  error
	}
	all := make([]chan taken, len(c.Brokers))
	for i, one := range c.Brokers {
		all[i] = make(chan taken, 1)
		dir := b.TempDir()
		go func() {
			text, err := top(ctx, dir, doors[one]+what, flags...)
			all[i] <- taken{text, err}
		}()
	}
	for i, one := range c.Brokers {
		t := <-all[i]
		require.NoError(b, t.err)
		fmt.Printf("\n%s\n%s\n", one.Node, t.text) // Log shows ten lines
	}
}

// BenchmarkFigureClusterSpeed is the ratio of three brokers, with three replicas of
// each partition, to one: the load of BenchmarkFigureSpeed, on one and the other in
// turn. All of them are on one machine, and so share its cores and its disk.
func BenchmarkFigureClusterSpeed(b *testing.B) {
	for range b.N {
		one, user, ctx := measured(b, binary(b))
		c, all, _ := measuredCluster(b, binary(b), func(*Broker) {})
		var single, three, ratios []float64
		before := machine()
		for pair := range speedPairs {
			s := blasts(b, ctx, user, []*Broker{one}, fmt.Sprint("speed-", pair))
			t := blasts(b, ctx, all, c.Brokers, fmt.Sprint("speed-", pair))
			single, three, ratios = append(single, s.mbPerSecond()), append(three, t.mbPerSecond()), append(ratios, t.mbPerSecond()/s.mbPerSecond())
			b.Logf("pair %d: one %v; three %v; ratio %.2f", pair+1, s, t, ratios[pair])
		}
		b.Logf("spread: one %.0f-%.0f MB/s, three %.0f-%.0f MB/s, ratio %.2f-%.2f; %s", slices.Min(single), slices.Max(single),
			slices.Min(three), slices.Max(three), slices.Min(ratios), slices.Max(ratios), machine().since(before))
		b.ReportMetric(median(single), "one-MB/s")
		b.ReportMetric(median(three), "three-MB/s")
		b.ReportMetric(median(three)*1e6/readyRecordBytes(), "three-records/s")
		b.ReportMetric(median(ratios), "ratio")
	}
}

// clusterBlasted is what brokers took, and what it cost them.
type clusterBlasted struct {
	blasted
	cores []float64 // that each broker kept busy
	own   float64   // and the client
}

func (r clusterBlasted) String() string {
	return fmt.Sprintf("%.0f MB/s, %.0f records/s (p50 %v, p99 %v; cores %.2f, client %.2f; %d batches sent to who did not lead)", r.mbPerSecond(), r.mbPerSecond()*1e6/readyRecordBytes(),
		r.quantile(0.5).Round(10*time.Microsecond), r.quantile(0.99).Round(10*time.Microsecond), r.cores, r.own, r.refused)
}

// readyRecordBytes are those of a ready batch to each of its records.
func readyRecordBytes() float64 {
	b := readyBatches()[0]
	return float64(len(b)) / float64(b.Count())
}

// blasts has a topic of as many replicas as there are brokers made, filled for a while,
// and deleted. The client is told of one broker and finds the leaders by itself.
func blasts(b *testing.B, ctx context.Context, user *client.Client, brokers []*Broker, topic string) (r clusterBlasted) {
	_, err := user.CreateTopic(ctx, codec.CreateTopic{Topic: codec.Topic(topic), Partitions: speedPartitions, Replicas: int32(len(brokers))})
	require.NoError(b, err)
	syscall.Sync()
	was, own := usages(b, brokers), ownCPU()
	r.blasted, err = blast{address: brokers[0].Address, topic: codec.Topic(topic), partitions: speedPartitions, inFlight: speedInFlight, batches: readyBatches(), during: speedFor}.run(ctx)
	require.NoError(b, err)
	r.cores, _ = cores(was, usages(b, brokers), r.elapsed)
	r.own = (ownCPU() - own).Seconds() / r.elapsed.Seconds()
	require.NoError(b, user.DeleteTopic(ctx, codec.Topic(topic)))
	return r
}

// BenchmarkFigureClusterProfile is where the CPU of each broker goes under that load.
func BenchmarkFigureClusterProfile(b *testing.B) {
	for range b.N {
		doors := map[*Broker]string{}
		c, user, ctx := measuredCluster(b, buildProfiled(b), withDoors(b, doors))
		_, err := user.CreateTopic(ctx, codec.CreateTopic{Topic: "speed", Partitions: speedPartitions, Replicas: clusterBrokers})
		require.NoError(b, err)
		type produced struct {
			blasted
			err error
		}
		done := make(chan produced, 1)
		go func() {
			r, err := blast{address: c.Brokers[0].Address, topic: "speed", partitions: speedPartitions, inFlight: speedInFlight, batches: readyBatches(), during: 10 * time.Second}.run(ctx)
			done <- produced{r, err}
		}()
		profiles(b, ctx, c, doors, "profile?seconds=8", []string{"-nodecount=15"}, []string{"-cum", "-nodecount=12", "-show=" + calls})
		r := <-done
		require.NoError(b, r.err)
		fmt.Println(strings.Repeat("-", 20), fmt.Sprintf("%.0f MB/s", r.mbPerSecond()))
	}
}
