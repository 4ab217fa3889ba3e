package scenario

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts as they are written back")

const play = `# A leader dies.
# It comes back.
nodes 3
topic orders partitions=2 replicas=3 segment.bytes=1MiB
load producers=2 idempotent=1 readers=1
lasts 20s
every 1s..4s kill leader disk=any for=0s..3s
at 5s cut n1 follower for=2s
`

func TestWhatIsParsedIsWrittenBack(t *testing.T) {
	s, err := Parse("leader", play)
	require.NoError(t, err)
	require.Equal(t, play, s.String())
	plan := s.Plan(rand.New(rand.NewPCG(1, 1)))
	require.Greater(t, len(plan.Faults), 4)
	require.True(t, slices.IsSortedFunc(plan.Faults, func(a, b Fault) int { return int(a.At - b.At) }))
	again, err := Parse("leader", plan.String())
	require.NoError(t, err)
	require.Equal(t, plan.String(), again.String())
	require.Equal(t, plan.String(), again.Plan(rand.New(rand.NewPCG(2, 2))).String(), "a plan is its own plan")
	require.Equal(t, plan.String(), s.Plan(rand.New(rand.NewPCG(1, 1))).String(), "the same chance, the same plan")
}

// The plans of a swarm leave out lines, each plan others.
func TestASwarmHasSomeOfItsFaults(t *testing.T) {
	s, err := Find("swarm")
	require.NoError(t, err)
	require.True(t, s.Swarm)
	everything := s
	everything.Swarm = false
	least, most := 100, 0
	for seed := range uint64(50) {
		plan, verbs := s.Plan(rand.New(rand.NewPCG(seed, 1))), map[string]bool{}
		require.False(t, plan.Swarm, "a plan is its own plan")
		for _, f := range plan.Faults {
			verbs[f.Verb] = true
		}
		least, most = min(least, len(verbs)), max(most, len(verbs))
	}
	all := map[string]bool{}
	for _, f := range everything.Faults {
		all[f.Verb] = true
	}
	require.Less(t, least, len(all)/2)
	require.Greater(t, most, len(all)*3/4)
}

func TestParseRefuses(t *testing.T) {
	for line, says := range map[string]string{
		"at 1s explode n1":          `no fault "explode"`,
		"at 1s kill":                "kill: 0 arguments, want 1",
		"at 1s kill n4":             `"n4" is neither a node nor one of`,
		"at 1s kill n1 color=red":   `no key "color"`,
		"at kill n1":                "line 9",
		"every 3s..1s kill n1":      "ends before it begins",
		"every 1s kill n1":          "want FROM..TO",
		"at 1s kill n1 for=1 for=2": "said twice",
		"load cooks=3":              `no load "cooks"`,
		"dance":                     `"dance" is no word`,
		"swarm 3":                   "want swarm alone",
	} {
		_, err := Parse("bad", play+line+"\n")
		require.ErrorContains(t, err, says, line)
	}
	_, err := Parse("empty", "nodes 3\n")
	require.ErrorContains(t, err, "it needs nodes, a topic and how long it lasts")
}

// Of a plan in which three faults together matter, these three are left.
func TestShrinkFindsWhatMatters(t *testing.T) {
	plan := Scenario{}
	for i := range 40 {
		plan.Faults = append(plan.Faults, Fault{Verb: fmt.Sprint(i)})
	}
	tries := 0
	left := Shrink(plan, func(s Scenario) bool {
		tries++
		matter := 0
		for _, f := range s.Faults {
			if f.Verb == "3" || f.Verb == "17" || f.Verb == "38" {
				matter++
			}
		}
		return matter == 3
	})
	require.Equal(t, []Fault{{Verb: "3"}, {Verb: "17"}, {Verb: "38"}}, left.Faults)
	require.Less(t, tries, 120)
}

func FuzzParse(f *testing.F) {
	f.Add(play)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("f", text)
		if err != nil {
			return
		}
		again, err := Parse("f", s.String())
		require.NoError(t, err, s.String())
		require.Equal(t, s.String(), again.String())
	})
}

// Every scenario that comes with Troupe can be read, says what it is about, and
// is written as it would be written back.
func TestTheScriptsHold(t *testing.T) {
	all := All()
	require.Greater(t, len(all), 15)
	for _, s := range all {
		require.NotEmpty(t, s.About, s.Name)
		text, err := scripts.ReadFile("scripts/" + s.Name + ".txt")
		require.NoError(t, err)
		if *rewrite {
			require.NoError(t, os.WriteFile("scripts/"+s.Name+".txt", []byte(s.String()), 0o644))
			continue
		}
		require.Equal(t, string(text), s.String(), "%s: go test ./simulations/scenario -rewrite", s.Name)
		require.NotEmpty(t, s.Plan(rand.New(rand.NewPCG(1, 1))).Faults, s.Name)
	}
	_, err := Find("s0")
	require.ErrorContains(t, err, "s01-leader-killed")
	one, err := Find("s01")
	require.NoError(t, err)
	require.Equal(t, "s01-leader-killed", one.Name)
}
