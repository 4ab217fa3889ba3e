package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkFigurePauses measures the pauses that a steady producer sees, b.N times
// each, or only
// those that TROUPE_CHAOS_BLOWS names with commas: go test ./simulations/chaos -run '^$' -bench FigurePauses -benchtime 50x -timeout 2h.
func BenchmarkFigurePauses(b *testing.B) {
	ctx := b.Context()
	lan, err := NewLan(rand.New(rand.NewPCG(1, 1)), append(NodeNames(3), Clients)...)
	blows := Blows
	if errors.Is(err, ErrNotPermitted) {
		b.Logf("NOT RUN: cut: %v", err)
		blows = blows[:len(blows)-1]
	} else {
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, lan.Close()) })
	}
	if only := os.Getenv("TROUPE_CHAOS_BLOWS"); only != "" {
		blows = slices.DeleteFunc(slices.Clone(blows), func(w Blow) bool { return !slices.Contains(strings.Split(only, ","), w.Name) })
	}
	c, err := NewCluster(ctx, binary(b), b.TempDir(), 3, lan)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Kill()) })
	require.NoError(b, c.Start(ctx))
	all, err := MeasurePauses(ctx, c, blows, b.N, func(s string) { fmt.Println(time.Now().Format(time.TimeOnly), s) })
	fmt.Println(PausesTable(all)) // Log shows ten lines
	if err != nil {
		for _, one := range c.Brokers {
			b.Logf("%s:\n%s", one.Node, one.LastWords())
		}
	}
	require.NoError(b, err)
	for _, p := range all {
		b.ReportMetric(ms(p.At(0.99)), "ms-p99-"+strings.ReplaceAll(p.Blow, " ", ""))
	}
}

// A record that has no answer yet makes the pause as long as it waits.
func TestAPauseLastsAsLongAsItsRecords(t *testing.T) {
	now := time.Now()
	s := &steady{sent: []time.Time{now.Add(-3 * time.Second), now.Add(-2 * time.Second), now.Add(-time.Second)}, took: []time.Duration{time.Millisecond, 700 * time.Millisecond, 0}}
	require.Equal(t, 700*time.Millisecond, s.pause(now.Add(-2500*time.Millisecond), now.Add(-1500*time.Millisecond)))
	require.GreaterOrEqual(t, s.pause(now.Add(-1500*time.Millisecond), now), time.Second)
	require.Equal(t, time.Millisecond, s.pause(now.Add(-4*time.Second), now.Add(-2500*time.Millisecond)))
	require.True(t, s.calm(0, 2, time.Second))
	require.False(t, s.calm(1, 2, time.Second))
}
