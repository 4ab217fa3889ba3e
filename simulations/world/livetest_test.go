package world_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/simulations/world"
)

// failing says to TestThatFails how to.
const failing = "TROUPE_WORLD_FAILING"

// fails are tests that fail, and what is printed then.
var fails = map[string]struct {
	play func(t *testing.T, c *world.Live)
	says []string
}{
	"an error": {func(t *testing.T, _ *world.Live) { t.Error("it is wrong") }, []string{"it is wrong"}},
	"a fatal one, while others wait": {func(t *testing.T, c *world.Live) {
		go func() { <-t.Context().Done() }()
		go time.Sleep(time.Minute)
		_, _ = c.Dial(t.Context(), "n1:9650") // not closed
		t.Fatal("it is wrong")
	}, []string{"it is wrong"}},
	"no end":      {func(*testing.T, *world.Live) { select {} }, []string{"it may take 1m0s of virtual time"}},
	"no majority": {func(t *testing.T, c *world.Live) { c.Kill("n1"); c.Kill("n2"); c.CreateTopic("a", 1) }, []string{"world: create topic a"}},
	"a panic":     {func(*testing.T, *world.Live) { panic("it is wrong") }, []string{"it is wrong"}},
}

// TestThatFails does so when TestAFailureNamesItsSeed asks it to.
func TestThatFails(t *testing.T) {
	if f, asked := fails[os.Getenv(failing)]; asked {
		world.Test(t, world.Options{Within: time.Minute}, f.play)
	}
}

func TestAFailureNamesItsSeed(t *testing.T) {
	for name, f := range fails {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestThatFails$", "-test.timeout", "1m")
			cmd.Env = append(os.Environ(), failing+"="+name, "TROUPE_SIM_SEED=7")
			out, err := cmd.CombinedOutput()
			require.Error(t, err, string(out))
			for _, what := range append(f.says,
				"repeat it: TROUPE_SIM_SEED=7 go test -count=1 -run '^TestThatFails$/^seed=7$' github.com/troupe-mq/troupe/simulations/world\n") {
				require.Contains(t, string(out), what)
			}
		})
	}
}

// TestASeedIsRepeated has one seed twice: what the cluster draws is the same.
func TestASeedIsRepeated(t *testing.T) {
	draw := func() (drawn []uint64) {
		world.Test(t, world.Options{Seeds: 2}, func(t *testing.T, c *world.Live) {
			drawn = append(drawn, c.Seed(), c.Rand("a").Uint64(), c.Rand("b").Uint64())
		})
		return drawn
	}
	first := draw()
	require.Equal(t, first, draw())
	require.NotEqual(t, first[1], first[2])
	require.NotEqual(t, first[1], first[4])
}
