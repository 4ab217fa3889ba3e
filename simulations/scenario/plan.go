package scenario

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Plan is s with a moment for each fault: those that happen again and again
// are drawn from chance, and so are spans such as for=1s..3s. It is a scenario
// again, and its own plan. Of a swarm each plan has some of the faults only.
func (s Scenario) Plan(chance *rand.Rand) Scenario {
	if s.Swarm {
		s.Swarm, s.Faults = false, some(s.Faults, chance)
	}
	var all []Fault
	for _, f := range s.Faults {
		if !f.Repeats() {
			all = append(all, f.drawn(chance))
			continue
		}
		for at := between(chance, f.From, f.To); at < s.Lasts; at += between(chance, f.From, f.To) {
			one := f.drawn(chance)
			one.At, one.From, one.To = at.Round(time.Millisecond), 0, 0
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	s.Faults = all
	return s
}

// some are a part of the faults, each or none of a line: what is left out does not
// hide what is in. (Groce et al., Swarm Testing, 2012.)
func some(faults []Fault, chance *rand.Rand) (list []Fault) {
	part := 0.2 + 0.8*chance.Float64()
	for _, f := range faults {
		if chance.Float64() < part {
			list = append(list, f)
		}
	}
	return list
}

// drawn is f with a value for each span.
func (f Fault) drawn(chance *rand.Rand) Fault {
	with := map[string]string{}
	for _, k := range sortedKeys(f.With) {
		v := f.With[k]
		if from, to, err := span(v); err == nil && strings.Contains(v, "..") {
			v = between(chance, from, to).Round(time.Millisecond).String()
		}
		with[k] = v
	}
	f.With = with
	return f
}

func between(chance *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(chance.Int64N(int64(to-from)+1))
}

// Shrink looks for a shorter plan that still fails: it leaves out faults, the
// larger part first, as long as fails says so. plan must fail.
func Shrink(plan Scenario, fails func(Scenario) bool) Scenario {
	for size := (len(plan.Faults) + 1) / 2; size >= 1; {
		shorter := false
		for from := 0; from < len(plan.Faults); {
			limit := min(from+size, len(plan.Faults))
			try := plan
			try.Faults = slices.Concat(plan.Faults[:from], plan.Faults[limit:])
			if fails(try) {
				plan, shorter = try, true
				continue
			}
			from = limit
		}
		if !shorter || size > 1 {
			if size == 1 {
				break
			}
			size = (size + 1) / 2
		}
	}
	return plan
}
