package codec

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTableIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Codes() {
		require.Regexp(t, regexp.MustCompile(`^[A-Z_]+$`), c.String())
		require.False(t, names[c.String()], c.String())
		names[c.String()] = true
	}
	require.Equal(t, "CODE_999", Code(999).String())
	require.Equal(t, int16(-1), Code(999).Kafka())
	require.False(t, Unknown.Retriable(), "an unknown outcome must never be retried as if nothing happened")
}

func TestErrorsAreFoundByCode(t *testing.T) {
	err := fmt.Errorf("produce: %w", Errorf(NotLeader, "partition %d", 3))
	require.ErrorIs(t, err, E(NotLeader))
	require.NotErrorIs(t, err, E(Fenced))
	require.Equal(t, NotLeader, CodeOf(err))
	require.Equal(t, Internal, CodeOf(errors.New("x")))
	require.Equal(t, OK, CodeOf(nil))
	require.EqualError(t, err, "produce: NOT_LEADER: partition 3")
}
