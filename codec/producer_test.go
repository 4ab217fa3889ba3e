package codec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABatchThatNamesItsProducer(t *testing.T) {
	b := someBatch(t, "x", "y")
	b.SetProducer(1<<40, 7, 1<<31-1)
	require.NoError(t, b.Verify(1<<20))
	require.Equal(t, int64(1<<40), b.ProducerID())
	require.Equal(t, int16(7), b.ProducerEpoch())
	require.Equal(t, int32(1<<31-1), b.BaseSequence())
	require.Equal(t, int32(2), b.Count())
}
