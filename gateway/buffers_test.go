package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A small answer does not keep a large buffer while it is on its way.
func TestLittleInALargeBufferMovesOut(t *testing.T) {
	giveBuffer(&buffer{make([]byte, 0, 8<<20)})
	r := reading{from: &still{log: make([]byte, 10_000)}, most: 8 << 20}
	require.NoError(t, r.read())
	require.Equal(t, 10_000, r.stored())
	require.LessOrEqual(t, cap(r.scratch.b), 1<<20)
	r.drop()
}
