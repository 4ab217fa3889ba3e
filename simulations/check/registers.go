package check

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/troupe-mq/troupe/codec"
)

// Claim is a client's attempt to make a name exist, or not exist any more: a
// topic's for instance.
type Claim struct {
	Name    string
	Make    bool // else unmake
	Call    int64
	Return  int64 // not looked at when Unknown
	Outcome Outcome
	// Was says, with an Outcome of OK, that nothing was done because it was so
	// already.
	Was bool
}

// String is the claim in reports.
func (c Claim) String() string {
	verb, state := "unmake", "was not there"
	if c.Make {
		verb, state = "make", "was there"
	}
	said := c.Outcome.String()
	if c.Was {
		said = state
	}
	return fmt.Sprintf("[%d, %d] %s %s: %s", c.Call, c.Return, verb, c.Name, said)
}

// Verdict is what a search for a linear order came to.
type Verdict struct {
	Illegal   []string // what has no linear order
	Undecided []string // where the search took too long: neither good nor bad
}

// Names says whether what clients were told of names can have happened in one
// order, each claim at some moment between its call and its return (Porcupine).
// A claim that failed did nothing and is left out; one with an unknown outcome
// may have happened at any time after its call, or not at all.
func Names(all []Claim, limit time.Duration) (v Verdict) {
	for _, name := range namesOf(all) {
		var ops []porcupine.Operation
		for i, c := range all {
			if c.Name != name || c.Outcome == Failed {
				continue
			}
			op := porcupine.Operation{ClientId: i, Input: c, Output: c, Call: c.Call, Return: c.Return}
			if c.Outcome == Unknown {
				op.Return = math.MaxInt64
			}
			ops = append(ops, op)
		}
		v.judge(name, nameModel, ops, limit)
	}
	return v
}

func namesOf(all []Claim) (names []string) {
	for _, c := range all {
		if !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

func (v *Verdict) judge(what string, m porcupine.Model, ops []porcupine.Operation, limit time.Duration) {
	switch porcupine.CheckOperationsTimeout(m, ops, limit) {
	case porcupine.Illegal:
		v.Illegal = append(v.Illegal, fmt.Sprintf("%s: what %d calls came to fits no order of them", what, len(ops)))
	case porcupine.Unknown:
		v.Undecided = append(v.Undecided, what)
	}
}

// nameModel is a name that exists or not.
var nameModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{false} },
	Step: func(state, input, _ any) []any {
		there, c := state.(bool), input.(Claim)
		switch {
		case c.Outcome == Unknown && there != c.Make:
			return []any{there, c.Make}
		case c.Outcome == Unknown, c.Was && there == c.Make:
			return []any{there}
		case !c.Was && there != c.Make:
			return []any{c.Make}
		}
		return nil
	},
}).ToModel()

// Appends is the same for the beginning of each log: its first calls, most at
// most. It is a second opinion on what Check finds by a sweep: that records
// stand in an order in which they can have been appended, and that none was
// read before.
func Appends(h History, most int, limit time.Duration) (v Verdict) {
	ops, order := map[codec.TopicPartition][]porcupine.Operation{}, []codec.TopicPartition(nil)
	add := func(tp codec.TopicPartition, op porcupine.Operation) {
		if ops[tp] == nil {
			order = append(order, tp)
		}
		if len(ops[tp]) < most {
			op.ClientId = len(ops[tp])
			ops[tp] = append(ops[tp], op)
		}
	}
	where := map[uint64]codec.Offset{}
	for _, r := range h.Reads {
		where[r.Token] = r.Offset
	}
	for _, p := range h.Produces {
		at, read := where[p.Token]
		switch {
		case p.Outcome == OK && !p.Somewhere && p.Attempts <= 1:
			add(p.Log, porcupine.Operation{Input: appended(p.Offset), Call: p.Call, Return: p.Return})
		case p.Outcome != Failed && read && p.Attempts <= 1:
			add(p.Log, porcupine.Operation{Input: appended(at), Call: p.Call, Return: math.MaxInt64})
		}
	}
	for _, tp := range order {
		v.judge(tp.String(), logModel, ops[tp], limit)
	}
	return v
}

// appended is the offset of a record.
type appended codec.Offset

// logModel is a log as the offset behind its last record: records come in the
// order of their offsets, with gaps for those of which nothing is known.
var logModel = porcupine.Model{
	Init: func() any { return appended(-1) },
	Step: func(state, input, _ any) (bool, any) { return input.(appended) > state.(appended), input },
}
