//go:build !race

// Under the race detector a sync.Pool throws away a quarter of what it is given.

package gateway

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// allocated is how many bytes do makes.
func allocated(do func()) uint64 {
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	do()
	runtime.ReadMemStats(&is)
	return is.TotalAlloc - was.TotalAlloc
}

// What is read for one answer is the memory of the next, however large: else
// each large fetch adds to a pool that nobody takes from.
func TestLargeReadsUseTheirMemoryAgain(t *testing.T) {
	for _, size := range []int{64 << 10, 1 << 20, 6 << 20, 8<<20 + 32<<10} {
		r := reading{from: &still{log: make([]byte, size)}, most: 8 << 20}
		read := func() {
			require.NoError(t, r.read())
			require.Equal(t, min(size, r.most), r.stored())
			r.drop()
		}
		read()
		const times, misses = 200, 8 // a goroutine that changes its core does not find what it gave
		require.Less(t, allocated(func() {
			for range times {
				read()
			}
		}), uint64(misses*max(2*size, 1<<readsMin)), "%d bytes", size)
	}
}
