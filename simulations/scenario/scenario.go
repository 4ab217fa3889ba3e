package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is a cluster, its load, and what is done to it.
type Scenario struct {
	Name   string // of its file, without the ending
	About  string // the comment at its head
	Nodes  int
	Topics []Topic
	Load   Load
	Lasts  time.Duration // with faults; then they end, and all has to be well
	Swarm  bool          // each seed has some of the faults, not all
	Faults []Fault
}

// Topic is made before the load begins.
type Topic struct {
	Name       string
	Partitions int
	Replicas   int
	Settings   map[string]string
}

// Load is what clients do all the time.
type Load struct {
	Producers  int // that send each batch once
	Idempotent int // producers that repeat until they know
	Readers    int // of any replica
}

// Fault is one line: what goes wrong, and when.
type Fault struct {
	At   time.Duration // of a fault that happens once
	From time.Duration // of one that happens again and again: the least
	To   time.Duration // and the most time between two; 0 for once
	Verb string
	Args []string          // whom it strikes
	With map[string]string // for=2s and the like
}

// Verbs are all that a Fault can be: how many arguments each has, and the keys
// that it knows.
var Verbs = map[string]struct {
	Args  int
	Keys  []string
	About string
}{
	"kill":     {1, []string{"disk", "for"}, "kill -9; disk= says what the disk keeps: kept, lost, torn, zeroed, any; for= until it starts again"},
	"power":    {0, []string{"disk", "for"}, "all nodes lose power at once"},
	"pause":    {1, []string{"for"}, "the process stands still"},
	"cut":      {2, []string{"for"}, "nothing arrives from the first at the second"},
	"isolate":  {1, []string{"for"}, "nothing arrives at the node, nor from it"},
	"split":    {0, []string{"for"}, "the nodes fall into two parts"},
	"bridge":   {0, []string{"for"}, "two parts, and one node that hears both"},
	"lossy":    {1, []string{"loss", "double", "garbled", "mixed", "slow", "for"}, "the links of a node lose, double, garble, mix and slow letters"},
	"stall":    {1, []string{"for"}, "what is sent to the node waits"},
	"fault":    {2, []string{"call", "for"}, "one of the node's next disk calls fails: EIO, ENOSPC or hang; call= of which kind, sync for instance; for= until it is started anew"},
	"fill":     {1, []string{"for"}, "the node's disk is full"},
	"slow":     {1, []string{"by", "for"}, "every job of the node's disk takes so much longer"},
	"rot":      {1, []string{"file", "how", "disk", "for"}, "the node is killed, and a piece of a file rots: file= wal, segment, hard, snapshot, identity, metadata, any; how= bit, sector, page"},
	"lose":     {1, []string{"for"}, "the node is killed and its directory is lost; it comes back with an empty one, for= later"},
	"swap":     {2, []string{"for"}, "two nodes are killed, and start on each other's disk; then on their own again"},
	"clock":    {1, []string{"by", "drift"}, "the node's clock jumps; or, with drift=0.1, goes so much faster from then on, timers too"},
	"lie":      {1, []string{"for"}, "some nodes hear that one has ended, which lives, and none hears of any that does"},
	"transfer": {0, nil, "the leadership of a log is handed to another replica"},
	"trim":     {0, nil, "the start of a log is moved"},
	"move":     {0, nil, "a replica of a log goes from one node to another"},
	"alter":    {0, nil, "the settings of a topic change"},
	"join":     {0, nil, "another node joins the cluster"},
	"retire":   {0, nil, "a node is to leave for good: its replicas go elsewhere, and then it does"},
	"resize":   {0, nil, "a topic gets another number of replicas"},
}

// Kinds of targets that a Fault may name beside nodes, n1 and so on.
var targets = []string{"any", "leader", "follower", "metadata", "all", "most", "minority"}

// check says what is wrong with a fault.
func (f Fault) check(nodes int) error {
	v, known := Verbs[f.Verb]
	if !known {
		return fmt.Errorf("no fault %q", f.Verb)
	}
	if len(f.Args) != v.Args {
		return fmt.Errorf("%s: %d arguments, want %d", f.Verb, len(f.Args), v.Args)
	}
	for k := range f.With {
		if !slices.Contains(v.Keys, k) {
			return fmt.Errorf("%s: no key %q: it has %v", f.Verb, k, v.Keys)
		}
	}
	for i, a := range f.Args {
		if f.Verb == "fault" && i == 1 {
			continue
		}
		if !slices.Contains(targets, a) && !isNode(a, nodes) {
			return fmt.Errorf("%s: %q is neither a node nor one of %v", f.Verb, a, targets)
		}
	}
	return nil
}

func isNode(s string, nodes int) bool {
	for i := range nodes {
		if s == fmt.Sprintf("n%d", i+1) {
			return true
		}
	}
	return false
}

// For is how long a fault lasts, otherwise when it does not say. A span such as
// 1s..3s has to be drawn first.
func (f Fault) For(otherwise time.Duration) time.Duration { return f.Duration("for", otherwise) }

// Duration is the value of a key.
func (f Fault) Duration(key string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(f.With[key])
	if err != nil {
		return otherwise
	}
	return d
}

// Float is the value of a key that is a number.
func (f Fault) Float(key string) float64 {
	var x float64
	_, _ = fmt.Sscan(f.With[key], &x)
	return x
}

// Repeats says whether the fault happens again and again.
func (f Fault) Repeats() bool { return f.To > 0 }

// String is the fault as it is written.
func (f Fault) String() string {
	words := []string{"at", f.At.String(), f.Verb}
	if f.Repeats() {
		words = []string{"every", f.From.String() + ".." + f.To.String(), f.Verb}
	}
	words = append(words, f.Args...)
	for _, k := range sortedKeys(f.With) {
		words = append(words, k+"="+f.With[k])
	}
	return strings.Join(words, " ")
}

// String is the scenario as it is written.
func (s Scenario) String() string {
	var b strings.Builder
	for line := range strings.Lines(s.About) {
		fmt.Fprintf(&b, "# %s\n", strings.TrimSpace(line))
	}
	fmt.Fprintf(&b, "nodes %d\n", s.Nodes)
	for _, t := range s.Topics {
		fmt.Fprintf(&b, "topic %s partitions=%d replicas=%d", t.Name, t.Partitions, t.Replicas)
		for _, k := range sortedKeys(t.Settings) {
			fmt.Fprintf(&b, " %s=%s", k, t.Settings[k])
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "load producers=%d idempotent=%d readers=%d\n", s.Load.Producers, s.Load.Idempotent, s.Load.Readers)
	fmt.Fprintf(&b, "lasts %s\n", s.Lasts)
	if s.Swarm {
		fmt.Fprintln(&b, "swarm")
	}
	for _, f := range s.Faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
