package chaos

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFoundingRace founds TROUPE_CHAOS_ROUNDS clusters.
func TestFoundingRace(t *testing.T) {
	o := options(t, 5)
	ctx := patience(t, time.Minute+time.Duration(o.Rounds)*raceWithin)
	r, err := RaceFounding(ctx, o.Binary, o.Dir, o.Rounds, rand.New(rand.NewPCG(o.Seed, 0)))
	t.Log(r)
	require.NoError(t, err)
	require.Equal(t, o.Rounds, r.Rounds)
}

// What RaceFounding looks for is found.
func TestARaceSeesWhatIsWrong(t *testing.T) {
	c, err := NewCluster(t.Context(), "", t.TempDir(), raceBrokers, nil)
	require.NoError(t, err)
	r := &race{cluster: c, before: make([]int, raceBrokers)}
	belongs := func(i int, cluster string) {
		b := c.Brokers[i]
		require.NoError(t, os.MkdirAll(b.Dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(b.Dir, "node.json"), []byte(`{"cluster":"`+cluster+`"}`), 0o600))
	}
	for i := range raceBrokers - 1 {
		belongs(i, "one")
	}
	last := c.Brokers[raceBrokers-1]
	require.ErrorContains(t, r.judge(nil), "what n5 belongs to")
	require.ErrorContains(t, r.judge([]*Broker{last}), "does not say why")
	_, err = last.log.Write([]byte("level=info msg=\"waits to found a cluster\" for=n1\n"))
	require.NoError(t, err)
	require.ErrorContains(t, r.judge([]*Broker{last}), "does not say why", "it waited, and has ended")
	_, err = last.log.Write([]byte("troupe: the name is taken\n"))
	require.NoError(t, err)
	require.NoError(t, r.judge([]*Broker{last}))
	last.from = len(last.Log())
	require.ErrorContains(t, r.judge([]*Broker{last}), "does not say why", "it was another life that did")
	belongs(raceBrokers-1, "one")
	require.NoError(t, r.judge(nil))
	belongs(raceBrokers-1, "another")
	require.ErrorContains(t, r.judge(nil), "two clusters")
	require.ErrorContains(t, r.judge([]*Broker{last}), "two clusters", "also of one that is not ready")
}

// A process that ends and says nothing has not refused: it has failed.
func TestWhoRefusesSaysWhy(t *testing.T) {
	c, err := NewCluster(t.Context(), "false", t.TempDir(), 1, nil)
	require.NoError(t, err)
	b, p := c.Brokers[0], &play{cluster: c}
	require.ErrorContains(t, p.refuses(t.Context(), b), "does not say why")
	b.Binary = filepath.Join(t.TempDir(), "refuses")
	require.NoError(t, os.WriteFile(b.Binary, []byte("#!/bin/sh\necho 'troupe: this is no disk of mine' >&2\nexit 1\n"), 0o700))
	require.NoError(t, p.refuses(t.Context(), b))
	b.Binary = "false"
	require.ErrorContains(t, p.refuses(t.Context(), b), "does not say why", "it did the time before")
}
