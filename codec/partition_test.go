package codec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors are those of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		require.Equal(t, want, int32(murmur2([]byte(key))), key)
	}
}

func TestPartitionForIsInRange(t *testing.T) {
	seen := map[Partition]bool{}
	for i := range 1000 {
		p := PartitionFor([]byte{byte(i), byte(i >> 8)}, 6)
		require.True(t, p >= 0 && p < 6)
		seen[p] = true
	}
	require.Len(t, seen, 6)
	require.Equal(t, Partition(0), PartitionFor(nil, 1))
}
