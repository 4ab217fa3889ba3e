package world_test

import (
	"flag"
	"sync"
	"testing"

	"github.com/troupe-mq/troupe/simulations/world"
)

// TestVotesAreCounted is the test of the Example as a user has it.
func TestVotesAreCounted(t *testing.T) {
	world.Test(t, world.Options{Seeds: 20}, votesAreCounted)
}

// borrow runs f once as a test, from an Example. testing/synctest wants a
// *testing.T, and only package testing makes one: testing.RunTests does, which
// is there for the go command. The flags that choose among tests, or have them
// print, would not leave the Example's output alone; nor would more seeds.
func borrow(f func(*testing.T)) {
	for name, value := range map[string]string{"test.v": "false", "test.run": "", "test.skip": "", "test.count": "1"} {
		one := flag.Lookup(name)
		was := one.Value.String()
		defer func() { _ = one.Value.Set(was) }()
		if err := one.Value.Set(value); err != nil {
			panic(err)
		}
	}
	var once sync.Once // -cpu has it run for each number
	play := func(t *testing.T) {
		t.Setenv("TROUPE_SIM_SEED", "")
		t.Setenv("TROUPE_SIM_SEEDS", "")
		once.Do(func() { f(t) })
	}
	all := func(string, string) (bool, error) { return true, nil }
	testing.RunTests(all, []testing.InternalTest{{Name: "Example", F: play}})
}
