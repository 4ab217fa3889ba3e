package world

import (
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Options of Test; the zero value will do.
type Options struct {
	Nodes int    // of the cluster, 3
	Seeds uint64 // how many runs, with the seeds 1, 2 and so on, 1
	// Within is how much virtual time a run may take, 1 h. One that is not over
	// then ends the test binary with a panic, which names the seed.
	Within time.Duration
}

func (o Options) withDefaults() Options {
	if o.Nodes <= 0 {
		o.Nodes = 3
	}
	if o.Seeds == 0 {
		o.Seeds = 1
	}
	if o.Within <= 0 {
		o.Within = time.Hour
	}
	return o
}

// The environment of a run that is repeated, or of more runs than a test asks
// for by itself.
const (
	envSeed  = "TROUPE_SIM_SEED"  // the first seed
	envSeeds = "TROUPE_SIM_SEEDS" // how many
	envTrace = "TROUPE_SIM_TRACE" // not empty: a column a node
)

// alone is held by the one World of the process that Test has.
var alone sync.Mutex

// Test runs play once for each seed, as a subtest in a testing/synctest bubble of
// its own with a simulated cluster, to which clients can connect. What play
// started must end with it, or with the context of t; the cluster ends by
// itself, and may not be used then. A run that fails logs the command that
// repeats it; one that ends in a panic of a goroutine that play began does not,
// but go test -v tells the seed.
//
// Inside a bubble time stands still while anybody has something to do, and jumps
// when everybody waits: sleeps and timeouts cost nothing. Whatever waits must
// wait for something in the bubble; a real socket, say, is not.
//
// The seed decides what is drawn for the cluster: time that elections, links and
// disks take, what a disk keeps. The program's goroutines are scheduled by Go,
// so another run of a seed is alike and not the same: repeat it with a larger
// -count when it does not fail at once.
func Test(t *testing.T, o Options, play func(t *testing.T, c *Live)) {
	t.Helper()
	o = o.withDefaults()
	first, n, err := seedsFrom(o.Seeds)
	if err != nil {
		t.Fatal(err)
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			alone.Lock()
			defer alone.Unlock()
			synctest.Test(t, func(t *testing.T) { live(t, o, seed, play) })
		})
	}
}

// live is one run, in a bubble.
func live(t *testing.T, o Options, seed uint64, play func(*testing.T, *Live)) {
	repeat := repeatCommand(t.Name(), seed)
	d := newDriver(seed, o.Within, repeat)
	if trace, ok := syscall.Getenv(envTrace); ok && trace != "" {
		var nodes []codec.NodeID
		for i := range o.Nodes {
			nodes = append(nodes, nodeName(i))
		}
		columns := NewColumns(t.Output(), nodes, false)
		t.Cleanup(func() { _ = columns.Close() })
		d.w.TraceTo(columns)
	}
	c, err := newLive(t, d, o.Nodes)
	t.Cleanup(func() { // when the context of t has ended
		if err := c.end(); err != nil {
			t.Errorf("world: %v", err)
		}
		if t.Failed() {
			t.Logf("repeat it: %s", repeat)
			time.Sleep(o.Within) // what only waits for its time comes to its end
		}
	})
	if err != nil {
		t.Fatalf("world: found a cluster: %v", err)
	}
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("%v\nrepeat it: %s\n", r, repeat)) // the stack is still that of r
		}
	}()
	play(t, c)
}

// seedsFrom are the first seed and how many, n if the environment does not say
// otherwise.
func seedsFrom(n uint64) (first, count uint64, err error) {
	first, count = 1, n
	for name, into := range map[string]*uint64{envSeed: &first, envSeeds: &count} {
		text, ok := syscall.Getenv(name)
		if !ok || text == "" {
			continue
		}
		if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%s=%q is no number of a seed: %w", name, text, err)
		}
	}
	return first, count, nil
}

// repeatCommand is the command that runs the test of a name again.
func repeatCommand(name string, seed uint64) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	in := "."
	if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" && info.Path != "command-line-arguments" {
		in = strings.TrimSuffix(info.Path, ".test")
	}
	return fmt.Sprintf("%s=%d go test -count=1 -run '%s' %s", envSeed, seed, strings.Join(parts, "/"), in)
}

// nodeName is what the i-th node of a cluster is called, counted from 0.
func nodeName(i int) codec.NodeID { return codec.NodeID(fmt.Sprintf("n%d", i+1)) }
