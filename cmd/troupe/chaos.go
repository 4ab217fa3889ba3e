package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/simulations/chaos"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

func newChaos(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "chaos", Short: "Play scenarios on real processes", Args: cobra.NoArgs,
		Long: `Play scenarios on real brokers: processes of this program, each in a network
namespace with a cable of its own, killed, stopped, cut off, with disks that fail. It
runs on Linux, as root; what a machine does not permit or have is said, and not run.`,
		Example: "  troupe chaos run s01-leader-killed\n  troupe chaos run --all --for 1h",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newChaosRun(s))
	return c
}

// chaosRun is what `chaos run` was told.
type chaosRun struct {
	all  bool
	seed uint64
	for_ time.Duration
	dir  string
}

func newChaosRun(s streams) *cobra.Command {
	var r chaosRun
	c := &cobra.Command{
		Use: "run [SCENARIO | FILE]", Short: "Play a scenario, or all, on real processes", Args: cobra.MaximumNArgs(1),
		Long: `Play a scenario, or all in turn, on real processes. The seed gives each fault its
moment; what the machine makes of it is not repeated exactly. A line a play says what
came of it. The first that breaks a promise ends it with exit code 1; its data stay.
Scenarios are those of troupe sim list.`,
		Example: "  troupe chaos run s01-leader-killed --seed 7\n  troupe chaos run --all --for 1h",
		RunE: func(c *cobra.Command, args []string) error {
			list, err := simRun{all: r.all}.list(args)
			if err != nil {
				return err
			}
			return r.run(c, s, list)
		},
	}
	c.Flags().BoolVar(&r.all, "all", false, "every scenario of which something can be played")
	c.Flags().Uint64Var(&r.seed, "seed", 1, "the first seed; each play has the next one")
	c.Flags().DurationVar(&r.for_, "for", 0, "begin another play until so much time has passed; 0 is one play of each")
	c.Flags().StringVar(&r.dir, "dir", "", "where data of brokers lie (default: a directory of its own below the system's for temporary files)")
	return c
}

func (r chaosRun) run(c *cobra.Command, s streams, list []scenario.Scenario) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir := r.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "troupe-chaos-"); err != nil {
			return err
		}
	}
	sum, err := chaos.PlayAll(c.Context(), chaos.Options{Binary: self, Dir: dir, Seed: r.seed}, list, r.for_, func(line string) { fmt.Fprintln(s.out, line) })
	fmt.Fprint(s.err, sum.Table())
	if err == nil && r.dir == "" {
		err = os.RemoveAll(dir)
	}
	return err
}
