package world_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
)

// number is an environment variable, or what it is without.
func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// TestOneNode plays many seeds of one broker under faults.
func TestOneNode(t *testing.T) {
	first, n := number("TROUPE_SIM_SEED", 1), number("TROUPE_SIM_SEEDS", 100)
	total := world.Stats{Faults: map[string]int{}, Refusals: map[codec.Code]int{}}
	for seed := first; seed < first+n; seed++ {
		s, err := world.RunOneNode(seed, nil)
		require.NoError(t, err, "repeat it: make sim-one SEED=%d N=1", seed)
		require.Empty(t, s.Violations, "repeat it: make sim-one SEED=%d N=1", seed)
		total.Steps += s.Steps
		total.Virtual += s.Virtual
		total.Acked += s.Acked
		total.Unknown += s.Unknown
		total.Failed += s.Failed
		total.Read += s.Read
		total.Kills += s.Kills
		total.Trims += s.Trims
		total.Visits.Answers += s.Visits.Answers
		total.Visits.Pushes += s.Visits.Pushes
		total.Visits.Idle += s.Visits.Idle
		total.Visits.Ends += s.Visits.Ends
		for k, v := range s.Faults {
			total.Faults[k] += v
		}
		for k, v := range s.Refusals {
			total.Refusals[k] += v
		}
	}
	t.Logf("through the door: %+v", total.Visits)
	t.Logf("%d seeds: %d steps, %s virtual, %d acked, %d unknown, %d failed, %d read, %d kills, %d trims, faults %v, codes %v", n,
		total.Steps, total.Virtual, total.Acked, total.Unknown, total.Failed, total.Read, total.Kills, total.Trims, total.Faults, total.Refusals)
	if n >= 50 { // a suite that never meets these is blind
		require.Positive(t, min(total.Visits.Answers, total.Visits.Pushes, total.Visits.Idle, total.Visits.Ends), "%+v", total.Visits)
		for _, c := range []codec.Code{codec.OK, codec.Unknown, codec.Unavailable, codec.DiskFull, codec.DiskFailed} {
			require.Positive(t, total.Refusals[c], "no produce was ever answered %v", c)
		}
	}
}

// TestTheSameSeedIsTheSameRun plays seeds of a whole broker in two processes.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	hashes := map[string]uint64{}
	for seed := uint64(1); seed <= 20; seed++ {
		here, err := world.RunOneNode(seed, nil)
		require.NoError(t, err)
		other := exec.Command(os.Args[0])
		other.Env = append(os.Environ(), fmt.Sprintf("TROUPE_WORLD_ONENODE=%d", seed))
		out, err := other.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "hash "+here.Hash+"\n", string(out), "seed %d", seed)
		require.Zero(t, hashes[here.Hash], "seeds %d and %d give one hash", hashes[here.Hash], seed)
		hashes[here.Hash] = seed
	}
}
