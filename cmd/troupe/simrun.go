package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/simulations/scenario"
	"github.com/troupe-mq/troupe/simulations/world"
)

// simRun is what `sim run` was told.
type simRun struct {
	all    bool
	seed   uint64
	seeds  uint64
	runs   uint64
	jobs   int
	shrink bool
	json   bool
	goOn   bool // behind a run that fails
}

func newSimRun(s streams) *cobra.Command {
	var r simRun
	c := &cobra.Command{
		Use: "run [SCENARIO | FILE]", Short: "Play a scenario, or all, with some seeds", Args: cobra.MaximumNArgs(1),
		Long: `Play a scenario, or all, with some seeds. A line a run says what came of it. The first
run that breaks a promise ends it with exit code 1, and the command that repeats it;
with --keep-going it is told, and the others are played too.`,
		Example: `  troupe sim run s01-leader-killed --seed 1 --seeds 20
  troupe sim run --all --runs 100
  troupe sim run my.txt --seed 7 --shrink > shorter.txt`,
		RunE: func(c *cobra.Command, args []string) error {
			list, err := r.list(args)
			if err != nil {
				return err
			}
			if r.shrink {
				return shrink(s, list[0], r.seed)
			}
			return r.run(c.Context(), s, list)
		},
	}
	c.Flags().BoolVar(&r.all, "all", false, "every scenario")
	c.Flags().Uint64Var(&r.seed, "seed", 1, "the first seed")
	c.Flags().Uint64Var(&r.seeds, "seeds", 1, "how many, of each scenario")
	c.Flags().Uint64Var(&r.runs, "runs", 0, "how many runs in all, instead of --seeds: the scenarios take turns")
	c.Flags().IntVar(&r.jobs, "jobs", runtime.NumCPU(), "how many at once, each in a process of its own")
	c.Flags().BoolVar(&r.json, "json", false, "a line of JSON a run, and nothing else")
	c.Flags().BoolVar(&r.goOn, "keep-going", false, "play all, also behind a run that fails")
	c.Flags().BoolVar(&r.shrink, "shrink", false, "of a run that fails, print the shortest plan found that still does")
	return c
}

func (r simRun) list(args []string) ([]scenario.Scenario, error) {
	switch {
	case r.all && len(args) == 0 && !r.shrink:
		return scenario.All(), nil
	case len(args) == 1 && !r.all:
		one, err := scenarioOf(args[0])
		return []scenario.Scenario{one}, err
	}
	return nil, usagef("want one scenario, or --all")
}

// task is one run.
type task struct {
	scenario scenario.Scenario
	name     string // to be said on a command line
	seed     uint64
}

func (r simRun) tasks(list []scenario.Scenario) (all []task) {
	total := r.runs
	if total == 0 {
		total = r.seeds * uint64(len(list))
	}
	for i := range total {
		one := list[i%uint64(len(list))]
		all = append(all, task{one, one.Name, r.seed + i/uint64(len(list))})
	}
	return all
}

// run plays all tasks. There is one world at a time in a process, so several at
// once are this program again.
func (r simRun) run(ctx context.Context, s streams, list []scenario.Scenario) error {
	tasks, sum := r.tasks(list), newSimSum()
	say := func(line simLine) error {
		sum.add(line)
		if r.json {
			return json.NewEncoder(s.out).Encode(line)
		}
		_, err := fmt.Fprintln(s.out, line)
		return err
	}
	fail := func(err error) error {
		if !r.goOn || len(tasks) == 1 {
			return err
		}
		sum.failed++
		_, err = fmt.Fprintln(s.err, err)
		return err
	}
	var err error
	if len(tasks) == 1 || r.jobs <= 1 {
		err = playAll(tasks, say, fail)
	} else {
		err = r.playElsewhere(ctx, tasks, say, fail)
	}
	if err != nil || len(tasks) == 1 {
		return err
	}
	if !r.json {
		err = sum.report(s.err, r.all)
	}
	if sum.failed > 0 {
		err = errors.Join(fmt.Errorf("%d of %d runs failed", sum.failed, len(tasks)), err)
	}
	return err
}

// playAll plays tasks one after the other, here. What fail returns ends it.
func playAll(tasks []task, say func(simLine) error, fail func(error) error) error {
	for _, t := range tasks {
		line, err := t.play()
		if err != nil {
			err = fail(err)
		} else {
			err = say(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// playElsewhere plays tasks in other processes, some at once. What fail returns
// ends it.
func (r simRun) playElsewhere(ctx context.Context, tasks []task, say func(simLine) error, fail func(error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan task)
	var running sync.WaitGroup
	var mu sync.Mutex
	for range r.jobs {
		running.Go(func() {
			for t := range next {
				line, err := t.elsewhere(ctx)
				mu.Lock()
				switch {
				case ctx.Err() != nil:
				case err != nil:
					err = fail(err)
				default:
					err = say(line)
				}
				mu.Unlock()
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, t := range tasks {
		select {
		case next <- t:
		case <-ctx.Done():
		}
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}

// elsewhere plays the task in a process of its own.
func (t task) elsewhere(ctx context.Context) (line simLine, err error) {
	self, err := os.Executable()
	if err != nil {
		return line, fmt.Errorf("find this program: %w", err)
	}
	out, err := exec.CommandContext(ctx, self, "sim", "run", t.name, "--json", "--seed", strconv.FormatUint(t.seed, 10)).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return line, errors.New(strings.TrimSpace(string(exit.Stderr)))
	} else if err != nil {
		return line, err
	}
	if err = json.Unmarshal(out, &line); err != nil {
		return line, fmt.Errorf("%s with seed %d said %q: %w", t.name, t.seed, out, err)
	}
	return line, nil
}

// play plays the task here.
func (t task) play() (simLine, error) {
	begun := time.Now()
	o, err := world.Play(t.scenario, t.seed, nil)
	if err == nil && len(o.Violations) > 0 {
		err = fmt.Errorf("%d violations, the first: %s", len(o.Violations), o.Violations[0])
	}
	if err != nil {
		return simLine{}, fmt.Errorf("%s with seed %d: %w\nrepeat it: troupe sim replay %s --seed %d", t.name, t.seed, err, t.name, t.seed)
	}
	return lineOf(t, o, time.Since(begun)), nil
}

// shrink prints the shortest plan it finds that still fails.
func shrink(s streams, one scenario.Scenario, seed uint64) error {
	fails := func(plan scenario.Scenario) bool {
		o, err := world.Play(plan, seed, nil)
		failed := err != nil || len(o.Violations) > 0
		fmt.Fprintf(s.err, "%d faults: fails %v\n", len(plan.Faults), failed)
		return failed
	}
	plan := one.Plan(world.PlanChance(seed))
	if !fails(plan) {
		return fmt.Errorf("%s with seed %d keeps every promise: there is nothing to make shorter", one.Name, seed)
	}
	_, err := fmt.Fprint(s.out, scenario.Shrink(plan, fails))
	return err
}
