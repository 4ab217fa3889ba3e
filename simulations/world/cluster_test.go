package world

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
				again := fmt.Sprintf("repeat it: make sim SCENARIO=%s SEED=%d N=1", s.Name, seed)
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
