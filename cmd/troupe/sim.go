package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

func newSim(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "sim", Short: "Play clusters in a simulated world, from a seed", Args: cobra.NoArgs,
		Long: `Play clusters in a simulated world: the brokers of this program in one process, on a
virtual clock, with links, disks and clocks that fail as a scenario says. What clients
were told is checked. The same scenario and seed always give the same run.`,
		Example: `  troupe sim list
  troupe sim run s01-leader-killed --seeds 20
  troupe sim run --all --runs 100
  troupe sim replay s01-leader-killed --seed 7 | less -S`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSimList(s), newSimRun(s), newSimReplay(s))
	if m := newSimMutants(s); m != nil {
		c.AddCommand(m)
	}
	return c
}

func newSimList(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scenarios", Args: cobra.NoArgs,
		Example: "  troupe sim list",
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			for _, one := range scenario.All() {
				fmt.Fprintf(w, "%s\t%s\n", one.Name, strings.Join(strings.Fields(one.About), " "))
			}
			return w.Flush()
		},
	}
}

// scenarioOf is a scenario by its name, or of a file.
func scenarioOf(name string) (scenario.Scenario, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		found, ferr := scenario.Find(name)
		if ferr != nil {
			return found, usagef("%v; nor is it a file", ferr)
		}
		return found, nil
	}
	return scenario.Parse(name, string(text))
}
