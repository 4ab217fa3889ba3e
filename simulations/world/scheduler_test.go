package world

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// begin is when worlds of the tests begin: 2026-01-01 UTC.
const begin = 1767225600000

// in makes a World that ends with the test.
func in(t *testing.T, seed uint64) *World {
	t.Helper()
	w := New(seed, begin)
	t.Cleanup(w.Close)
	return w
}

func TestWorkOfOneKeyKeepsItsOrder(t *testing.T) {
	orders := map[string]bool{}
	for seed := range uint64(20) {
		w := New(seed, begin)
		var all []string
		for i := range 5 {
			for _, key := range []string{"a", "b", "c"} {
				w.Post(key, "work", func() { all = append(all, fmt.Sprint(key, i)) })
			}
		}
		require.NoError(t, w.RunFor(time.Second))
		w.Close()
		for _, key := range []string{"a", "b", "c"} {
			own := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s[:1] != key })
			require.True(t, slices.IsSorted(own), "seed %d: %v", seed, own)
			require.Len(t, own, 5)
		}
		orders[strings.Join(all, " ")] = true
	}
	require.Greater(t, len(orders), 15, "seeds choose different orders")
}

func TestClockJumpsToTheNextTimer(t *testing.T) {
	w := in(t, 1)
	var fired []string
	note := func(s string) func() {
		return func() { fired = append(fired, fmt.Sprint(s, "@", w.Now()-begin)) }
	}
	w.After(2*time.Hour, "late", note("late"))
	w.After(time.Second, "first", note("first"))
	w.After(time.Second, "second", note("second"))
	cancel := w.After(time.Minute, "cancelled", note("cancelled"))
	cancel()
	w.After(0, "now", note("now"))
	require.NoError(t, w.Run(func() bool { return len(fired) == 4 }, 3*time.Hour))
	require.Equal(t, []string{"now@0", "first@1000", "second@1000", "late@7200000"}, fired)
	require.Equal(t, 2*time.Hour, w.Elapsed())
	require.False(t, w.Step())
}

func TestRunForEndsAtItsTime(t *testing.T) {
	w := in(t, 1)
	n := 0
	var again func()
	again = func() { n++; w.After(time.Second, "tick", again) }
	w.After(time.Second, "tick", again)
	require.NoError(t, w.RunFor(10*time.Second))
	require.Equal(t, 10, n)
	require.Equal(t, 10*time.Second, w.Elapsed())
	require.NoError(t, w.RunFor(500*time.Millisecond))
	require.Equal(t, 10, n)
}

func TestRunSaysWhyItEnded(t *testing.T) {
	w := in(t, 4711)
	never := func() bool { return false }
	err := w.Run(never, time.Second)
	require.ErrorContains(t, err, "nothing is left to do")
	require.ErrorContains(t, err, "seed 4711")

	w.After(time.Hour, "late", func() {})
	require.ErrorContains(t, w.Run(never, time.Second), "not reached within 1s")
}

func TestLivelockIsNamed(t *testing.T) {
	w := in(t, 4711)
	require.Equal(t, 1_000_000, w.limit)
	w.limit = 10_000
	var again func()
	again = func() { w.Post("a", "again", again) }
	again()
	require.ErrorContains(t, w.Run(func() bool { return false }, time.Second), "livelock")
	require.ErrorContains(t, w.RunFor(time.Second), "livelock")
}

func TestForeignGoroutinesAreCaught(t *testing.T) {
	w := in(t, 4711)
	life := w.Life("n1")
	for name, call := range map[string]func(){
		"post":  func() { w.Post("a", "x", func() {}) },
		"after": func() { w.After(0, "x", func() {}) },
		"step":  func() { w.Step() },
		"timer": func() { life.After(0, func() {}) },
		"job":   func() { life.Executor(0, 0)(func() {}) },
		"note":  func() { w.Note("a", "x", 0) },
	} {
		said := make(chan any)
		go func() {
			defer func() { said <- recover() }()
			call()
		}()
		require.Contains(t, fmt.Sprint(<-said), "seed 4711", name)
	}
}

func TestOneWorldAtATime(t *testing.T) {
	w := New(1, begin)
	require.Panics(t, func() { New(2, begin) })
	w.Close()
	New(2, begin).Close()
}

// TestProcessRandomnessIsSeeded draws as raft draws its jitter.
func TestProcessRandomnessIsSeeded(t *testing.T) {
	draw := func() (all []int64) {
		for range 20 {
			v, err := rand.Int(rand.Reader, big.NewInt(1000))
			require.NoError(t, err)
			all = append(all, v.Int64())
		}
		return all
	}
	of := func(seed uint64) []int64 {
		w := New(seed, begin)
		defer w.Close()
		return draw()
	}
	require.Equal(t, of(7), of(7))
	require.NotEqual(t, of(7), of(8))
	require.NotEqual(t, draw(), draw(), "Close gives the process its own randomness back")
}

func TestStreamsStandApart(t *testing.T) {
	w := in(t, 1)
	first := w.Rand("a").Uint64()
	w.Rand("b").Uint64()
	require.Equal(t, first, w.Rand("a").Uint64())
	require.NotEqual(t, first, w.Rand("b").Uint64())
}

func TestTraceIsReadableAndHashed(t *testing.T) {
	w := in(t, 1)
	var out strings.Builder
	w.TraceTo(&out)
	before := w.Hash()
	w.Post("n1/orders", "produce", func() {})
	require.NoError(t, w.RunFor(time.Second))
	require.Equal(t, "00:00:00.000000 n1/orders produce 0000000000000000\n", out.String())
	require.NotEqual(t, before, w.Hash())
}
