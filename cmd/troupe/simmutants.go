//go:build mutants

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// likely are the scenarios that are played first for a mutant; then come all.
var likely = map[string][]string{
	"forgotten-vote":            {"s26-crash-upon-crash", "s01-leader-killed"},
	"response-before-sync":      {"s03-power-cut", "s26-crash-upon-crash"},
	"wal-alone-synced":          {"s03-power-cut"},
	"segment-alone-synced":      {"s03-power-cut"},
	"ack-before-fsync":          {"s03-power-cut"},
	"names-not-synced":          {"s03-power-cut"},
	"fsync-tried-again":         {"s09-failed-fsync"},
	"offsets-from-commit":       {"s01-leader-killed", "s25-overload"},
	"watermark-off-by-one":      {"s04-minority-with-the-old-leader"},
	"rot-is-served":             {"s12-bit-rot"},
	"deposed-leader-says-yes":   {"s04-minority-with-the-old-leader"},
	"unexpired-goes":            {"s02-rolling-restart"},
	"tombstone-not-looked-at":   {"s02-rolling-restart"},
	"empty-disk-votes":          {"s13-lost-disk"},
	"never-answered":            {"s21-retries", "s04-minority-with-the-old-leader"},
	"dedup-dropped":             {"s21-retries"},
	"dedup-forgets-flights":     {"s21-retries"},
	"sequence-gap-taken":        {"s21-retries"},
	"snapshot-without-table":    {"s19-snapshots"},
	"command-carried-out-twice": {"s08-lossy-links"},
	"replica-id-again":          {"s18-moves"},
	"finished-too-early":        {"s18-moves"},
	"joins-as-founder":          {"s18-moves"},
	"conf-applied-again":        {"s18-moves"},
	"end-of-a-stale-leader":     {"s04-minority-with-the-old-leader", "s15-pause"},
	"gap-of-a-stale-leader":     {"s04-minority-with-the-old-leader", "s15-pause"},
	"one-commit-for-all":        {"s01-leader-killed", "s08-lossy-links"},
	"epoch-not-looked-at":       {"s21-retries"},
	"payload-not-checked":       {"s08-lossy-links"},
	"letter-not-checked":        {"s08-lossy-links"},
	"uncommitted-is-read":       {"s04-minority-with-the-old-leader"},
	"local-retention":           {"s20-retention", "s19-snapshots"},
}

func init() { codec.Plant(os.Getenv("TROUPE_MUTANT")) }

// newSimMutants is the verb that only a binary built with the tag mutants has:
// it switches on one deliberate bug after the other, and demands that the
// simulation finds each.
func newSimMutants(s streams) *cobra.Command {
	var runs uint64
	var only string
	c := &cobra.Command{
		Use: "mutants", Short: "Find every deliberate bug", Args: cobra.NoArgs,
		Example: "  make mutants",
		RunE: func(c *cobra.Command, _ []string) error {
			all := codec.Mutants()
			survivors := 0
			for _, name := range slices.Sorted(maps.Keys(all)) {
				if only != "" && only != name {
					continue
				}
				begun := time.Now()
				n, how, err := hunt(c.Context(), name, runs)
				if err != nil {
					return err
				}
				if how == "" {
					survivors++
					how = "NOT FOUND: " + all[name]
				}
				fmt.Fprintf(s.out, "%-24s %4d runs %8s  %s\n", name, n, time.Since(begun).Round(time.Second), how)
			}
			if survivors > 0 {
				return fmt.Errorf("%d mutants survive", survivors)
			}
			return nil
		},
	}
	c.Flags().Uint64Var(&runs, "runs", 200, "how many runs each may take")
	c.Flags().StringVar(&only, "only", "", "this one alone")
	return c
}

// hunt plays scenarios until one says that something is wrong: how many runs
// that took, and what it said.
func hunt(ctx context.Context, name string, runs uint64) (n int, how string, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, "", fmt.Errorf("find this program: %w", err)
	}
	for _, t := range huntTasks(name, runs) {
		n++
		run, cancel := context.WithTimeout(ctx, 5*time.Minute)
		cmd := exec.CommandContext(run, self, "sim", "run", t.name, "--seed", fmt.Sprint(t.seed))
		cmd.Env = append(os.Environ(), "TROUPE_MUTANT="+name)
		out, err := cmd.CombinedOutput()
		cancel()
		var exit *exec.ExitError
		if ctx.Err() != nil {
			return n, "", ctx.Err()
		} else if errors.As(err, &exit) {
			return n, t.name + ": " + told(string(out)), nil
		} else if err != nil {
			return n, "", err
		}
	}
	return n, "", nil
}

// huntTasks are the runs in their order: three quarters of what is likely, then
// all scenarios.
func huntTasks(name string, runs uint64) (all []task) {
	var first []scenario.Scenario
	for _, s := range scenario.All() {
		if slices.Contains(likely[name], s.Name) {
			first = append(first, s)
		}
	}
	if len(first) > 0 {
		all = simRun{seed: 1, runs: runs * 3 / 4}.tasks(first)
	}
	return append(all, simRun{seed: 1, runs: runs - uint64(len(all))}.tasks(scenario.All())...)
}

// told is what a run that failed said, in a line.
func told(out string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return line[:min(len(line), 150)]
}
