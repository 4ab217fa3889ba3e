package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThreeBrokersLoseEach(t *testing.T) { loseEach(t, 3) }

func TestFiveBrokersLoseEach(t *testing.T) { loseEach(t, 5) }

// loseEach takes 1,000 records for each of TROUPE_CHAOS_ROUNDS.
func loseEach(t *testing.T, brokers int) {
	o := options(t, 60)
	ctx := patience(t, 2*time.Minute+time.Duration(o.Rounds)*500*time.Millisecond)
	c, err := NewCluster(ctx, o.Binary, o.Dir, brokers, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Kill()) })
	require.NoError(t, c.Start(ctx))
	r, err := LoseEach(ctx, c, o.Rounds*1000, 1+o.Rounds/200)
	t.Log(r)
	if err != nil {
		for _, b := range c.Brokers {
			t.Logf("%s:\n%s", b.Node, b.LastWords())
		}
	}
	require.NoError(t, err)
	require.Equal(t, o.Rounds*1000, r.Records)
	require.Equal(t, (1+o.Rounds/200)*brokers, r.Kills)
}

// What LoseEach looks for is found.
func TestLoseEachSeesWhatIsWrong(t *testing.T) {
	s := &streaming{records: 10, last: map[string]int{}}
	first, second := loseRecord(0, 0), loseRecord(0, loseKeys)
	require.NoError(t, s.take(&first))
	require.ErrorContains(t, s.take(&first), "number 1 came, and 2 was to come", "twice")
	require.NoError(t, s.take(&second))
	third := loseRecord(0, 3*loseKeys)
	require.ErrorContains(t, s.take(&third), "number 4 came, and 3 was to come", "missing")
	third.Value[len(third.Value)-1]++
	require.ErrorContains(t, s.take(&third), "reads")
	require.ErrorContains(t, s.whole(), "key p0-k0 ends at number 2, and was sent up to 1", "more than were sent")
}
