package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A leader that is stopped refuses nothing and closes nothing. Its followers elect
// another, and a client that hears of that leaves it: long before a connection on
// which nothing comes would be given up.
func TestAStoppedLeaderHoldsNobodyUp(t *testing.T) {
	o := options(t, 1)
	ctx := patience(t, time.Minute)
	c, err := NewCluster(ctx, o.Binary, o.Dir, 3, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Kill()) })
	require.NoError(t, c.Start(ctx))
	var stop Blow
	for _, b := range Blows {
		if b.Name == "SIGSTOP" {
			stop = b
		}
	}
	all, err := MeasurePauses(ctx, c, []Blow{stop}, 1, func(s string) { t.Log(s) })
	require.NoError(t, err)
	require.Less(t, all[0].At(1), 15*time.Second)
	require.Greater(t, all[0].At(1), 500*time.Millisecond, "nobody was stopped")
}
