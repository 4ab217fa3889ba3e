package world

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// TestScenarios plays every scenario with some seeds.
func TestScenarios(t *testing.T) {
	seen := map[actors.Seen]int{}
	for _, s := range scenario.All() {
		if only := os.Getenv("TROUPE_SIM_SCENARIO"); only != "" && only != s.Name {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			began, steps, virtual, acked := time.Now(), uint64(0), time.Duration(0), 0
			for _, seed := range seeds(t, 2) {
				var trace io.Writer
				if os.Getenv("TROUPE_SIM_TRACE") != "" {
					trace = os.Stdout
				}
				o, err := Play(s, seed, trace)
				again := fmt.Sprintf("repeat it: make sim SCENARIO=%s SEED=%d", s.Name, seed)
				assert.NoError(t, err, again)
				assert.Empty(t, o.Violations, again)
				for what, n := range o.Seen {
					seen[what] += n
				}
				steps, virtual, acked = steps+o.Steps, virtual+o.Virtual, acked+o.Acked
			}
			t.Logf("%d steps, %s virtual in %s, %d records acknowledged", steps, virtual, time.Since(began).Round(time.Millisecond), acked)
		})
	}
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%6d %s", seen[what], what)
	}
}

// TestTheSameSeedIsTheSameCluster plays seeds of a cluster under every fault in
// two processes.
func TestTheSameSeedIsTheSameCluster(t *testing.T) {
	s, err := scenario.Find("swarm")
	require.NoError(t, err)
	s.Lasts = 5 * time.Second
	hashes := map[string]uint64{}
	for seed := range uint64(20) {
		here, err := Play(s, seed, nil)
		require.NoError(t, err)
		other := exec.Command(os.Args[0])
		other.Env = append(os.Environ(), "TROUPE_WORLD_SCENARIO=swarm", fmt.Sprintf("TROUPE_WORLD_LASTS=%s", s.Lasts), fmt.Sprintf("TROUPE_SIM_SEED=%d", seed))
		out, err := other.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "hash "+here.Hash+"\n", string(out), "seed %d", seed)
		require.NotContains(t, hashes, here.Hash)
		hashes[here.Hash] = seed
	}
}
