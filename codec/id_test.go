package codec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTopicNames(t *testing.T) {
	for _, good := range []string{"a", "access", "A.b_c-9", "__offsets", "...", strings.Repeat("x", 249)} {
		require.NoError(t, CheckTopicName(Topic(good)), good)
	}
	for bad, says := range map[string]string{
		"": "1 to 249", ".": "not .", "..": "not .", "a/b": "has '/'", "ü": "only a-z", "a b": "has ' '", "a\x00": "has",
		strings.Repeat("x", 250): "xxx…",
	} {
		err := CheckTopicName(Topic(bad))
		require.ErrorIs(t, err, E(InvalidTopic), bad)
		require.ErrorContains(t, err, says)
		require.Less(t, len(err.Error()), 200)
	}
}

func TestUUIDComesBack(t *testing.T) {
	u := UUID{0x12, 0x34, 0xff, 3: 9, 15: 1}
	got, err := ParseUUID(u.String())
	require.NoError(t, err)
	require.Equal(t, u, got)
	for _, bad := range []string{"", "x", strings.Repeat("0", 36), "zz000000-0000-0000-0000-000000000000"} {
		_, err := ParseUUID(bad)
		require.ErrorContains(t, err, "parse uuid", bad)
	}
}

func TestEpochOf(t *testing.T) {
	e, ok := EpochOf(1<<31 - 1)
	require.True(t, ok)
	require.Equal(t, Epoch(1<<31-1), e)
	_, ok = EpochOf(1 << 31)
	require.False(t, ok)
	require.Equal(t, "t/3", TopicPartition{"t", 3}.String())
}
