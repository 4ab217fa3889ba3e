package chaos

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// Soak is what many plays came to.
type Soak struct {
	Plays int
	Total PlayReport
}

// Playable says whether any fault of a scenario can be played on real processes.
func Playable(s scenario.Scenario) bool {
	return slices.ContainsFunc(s.Faults, func(f scenario.Fault) bool { return strikers[f.Verb] != nil })
}

// PlayAll plays scenarios in turn, each time with the next seed, for so long, or
// each once when for_ is 0. It ends with the first that fails; its directory is left, and named.
func PlayAll(ctx context.Context, o Options, all []scenario.Scenario, for_ time.Duration, said func(string)) (s Soak, err error) {
	s.Total = PlayReport{Met: map[string]int{}, Missed: map[string]int{}, NotRun: map[string]string{}}
	all = slices.DeleteFunc(slices.Clone(all), func(one scenario.Scenario) bool { return !Playable(one) })
	if len(all) == 0 {
		return s, fmt.Errorf("none of these scenarios has a fault that real processes can meet")
	}
	begun := time.Now()
	for s.Plays < len(all) && for_ == 0 || time.Since(begun) < for_ {
		one := all[s.Plays%len(all)]
		mine := o
		mine.Seed, mine.Dir = o.Seed+uint64(s.Plays), filepath.Join(o.Dir, fmt.Sprintf("play-%d", s.Plays))
		r, err := Play(ctx, mine, one)
		s.Plays++
		s.Total.add(r)
		if err != nil {
			return s, fmt.Errorf("%s with seed %d, data in %s: %w", one.Name, mine.Seed, mine.Dir, err)
		}
		said(fmt.Sprintf("%s seed %d: %s", one.Name, mine.Seed, r))
		if err := os.RemoveAll(mine.Dir); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (r *PlayReport) add(o PlayReport) {
	for v, n := range o.Met {
		r.Met[v] += n
	}
	for v, n := range o.Missed {
		r.Missed[v] += n
	}
	maps.Copy(r.NotRun, o.NotRun)
	r.Acked, r.Unknown, r.Failed, r.Audited, r.Took = r.Acked+o.Acked, r.Unknown+o.Unknown, r.Failed+o.Failed, r.Audited+o.Audited, r.Took+o.Took
}

// Table is the whole of it, a line for each verb.
func (s Soak) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d plays, %.0f min: %d records acknowledged, %d unknown, %d failed, %d audited\n", s.Plays, s.Total.Took.Minutes(), s.Total.Acked, s.Total.Unknown, s.Total.Failed, s.Total.Audited)
	for _, v := range slices.Sorted(maps.Keys(strikers)) {
		fmt.Fprintf(&b, "%-9s met %4d times, missed %d\n", v, s.Total.Met[v], s.Total.Missed[v])
	}
	for _, v := range slices.Sorted(maps.Keys(s.Total.NotRun)) {
		fmt.Fprintf(&b, "%-9s NOT RUN: %s\n", v, s.Total.NotRun[v])
	}
	return b.String()
}
