package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/simulations/world"
)

// simLine is what came of one run.
type simLine struct {
	Scenario  string              `json:"scenario"`
	Seed      uint64              `json:"seed"`
	Hash      string              `json:"hash"`
	Steps     uint64              `json:"steps"`
	VirtualMS int64               `json:"virtual_ms"`
	WallMS    int64               `json:"wall_ms"`
	Acked     int                 `json:"acknowledged"`
	Unknown   int                 `json:"unknown"`
	Refused   int                 `json:"refused"`
	Read      int                 `json:"read"`
	Kills     int                 `json:"kills"`
	Letters   int                 `json:"letters"`
	Faults    map[string]int      `json:"faults"`
	Seen      map[actors.Seen]int `json:"seen"`
}

func lineOf(t task, o world.Outcome, wall time.Duration) simLine {
	return simLine{
		Scenario: t.name, Seed: t.seed, Hash: o.Hash, Steps: o.Steps, VirtualMS: o.Virtual.Milliseconds(), WallMS: wall.Milliseconds(),
		Acked: o.Acked, Unknown: o.Unknown, Refused: o.Failed, Read: o.Read, Kills: o.Kills, Letters: o.Letters, Faults: o.Struck, Seen: o.Seen,
	}
}

// String is the line for people.
func (l simLine) String() string {
	return fmt.Sprintf("%s seed %d hash %s: %d steps, %s of virtual time in %s; records: %d acknowledged, %d unknown, %d refused, %d read; %d kills, faults %s",
		l.Scenario, l.Seed, l.Hash, l.Steps, time.Duration(l.VirtualMS)*time.Millisecond, time.Duration(l.WallMS)*time.Millisecond, l.Acked, l.Unknown, l.Refused, l.Read,
		l.Kills, strings.TrimPrefix(fmt.Sprint(l.Faults), "map"))
}

// simSum is what came of many.
type simSum struct {
	begun  time.Time
	total  simLine
	runs   int
	failed int // beside those
	hashes map[string]bool
	seen   map[actors.Seen]int // runs that took each path
}

func newSimSum() *simSum {
	return &simSum{begun: time.Now(), hashes: map[string]bool{}, seen: map[actors.Seen]int{}}
}

func (s *simSum) add(l simLine) {
	s.runs++
	s.hashes[l.Hash] = true
	s.total.Steps += l.Steps
	s.total.VirtualMS += l.VirtualMS
	s.total.WallMS += l.WallMS
	s.total.Acked += l.Acked
	s.total.Kills += l.Kills
	for what := range l.Seen {
		s.seen[what]++
	}
}

// blindAfter is how many runs of all scenarios take every rare path.
const blindAfter = 1000

// report says what all of it was. Runs of every scenario that never took a rare
// path, though there were many, are blind to it: that is an error.
func (s *simSum) report(out io.Writer, all bool) error {
	wall := time.Since(s.begun)
	blind := 0
	for _, what := range actors.Sometimes {
		fmt.Fprintf(out, "%6d runs with %s\n", s.seen[what], what)
		if s.seen[what] == 0 {
			blind++
		}
	}
	kept := "every promise was kept"
	if s.failed > 0 {
		kept = fmt.Sprintf("%d more failed", s.failed)
	}
	fmt.Fprintf(out, "%d runs in %s, %s: %d hashes, %.1f hours of virtual time, %.0f runs a minute, %.0f steps a second in each process; %d records acknowledged, %d kills\n",
		s.runs, wall.Round(time.Second/10), kept, len(s.hashes), float64(s.total.VirtualMS)/3.6e6, float64(s.runs)/wall.Minutes(),
		float64(s.total.Steps)*1000/float64(max(s.total.WallMS, 1)), s.total.Acked, s.total.Kills)
	if len(s.hashes) < s.runs {
		return fmt.Errorf("%d runs have %d hashes: some that should differ do not", s.runs, len(s.hashes))
	}
	if all && s.runs >= blindAfter && blind > 0 {
		return fmt.Errorf("%d runs are blind: they never took %d of the paths above", s.runs, blind)
	}
	return nil
}
