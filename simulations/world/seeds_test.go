package world

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// seeds are the seeds of a test: n from 0 on, or what `make sim-one` asks for.
func seeds(t *testing.T, n uint64) (all []uint64) {
	t.Helper()
	from := uint64(0)
	for name, into := range map[string]*uint64{"TROUPE_SIM_SEED": &from, "TROUPE_SIM_SEEDS": &n} {
		if text := os.Getenv(name); text != "" {
			v, err := strconv.ParseUint(text, 10, 64)
			require.NoError(t, err, name)
			*into = v
		}
	}
	for i := range n {
		all = append(all, from+i)
	}
	return all
}
