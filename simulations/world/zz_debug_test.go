package world_test

import (
	"os"
	"testing"

	"github.com/troupe-mq/troupe/simulations/world"
)

func TestDebugSeed(t *testing.T) {
	s, err := world.RunOneNode(number("TROUPE_SIM_SEED", 1), os.Stderr)
	t.Logf("%+v %v", s, err)
}
