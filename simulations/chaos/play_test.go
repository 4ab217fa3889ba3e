package chaos

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// A short scenario with most of what can go wrong on real processes. More is for:
// troupe chaos run --all.
const shortPlay = `# Most of what can go wrong, a little of each.
nodes 3
topic t partitions=2 replicas=3 segment.bytes=1MiB
load producers=2 idempotent=2 readers=2
lasts 12s
at 1s kill leader for=500ms
at 3s isolate leader for=2s
at 5500ms cut follower leader for=1s
at 6s transfer
at 7s lossy all double=0.1 garbled=0.01 loss=0.05 mixed=yes slow=5ms for=1s
at 8500ms pause leader for=2s
at 11s alter
at 11500ms fault any EIO call=sync for=300ms
`

func TestPlay(t *testing.T) {
	s, err := scenario.Parse("short", shortPlay)
	require.NoError(t, err)
	o := options(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r, err := Play(ctx, o, s)
	if errors.Is(err, ErrNotPermitted) {
		t.Logf("NOT RUN: %v", err)
		return
	}
	t.Log(r)
	require.NoError(t, err)
	require.Positive(t, r.Acked)
	require.GreaterOrEqual(t, r.Audited, r.Acked)
	for _, verb := range []string{"kill", "isolate", "lossy"} {
		require.Positive(t, r.Met[verb], verb)
	}
}

// Every verb of scenarios is played here, or there is a reason why not.
func TestEveryVerbIsPlayedOrExcused(t *testing.T) {
	for verb := range scenario.Verbs {
		require.True(t, (strikers[verb] != nil) != (notHere[verb] != ""), verb)
	}
}
