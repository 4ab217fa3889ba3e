package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slow answers each batch after a while, one at a time a partition.
type slow struct {
	after    time.Duration
	coming   sync.WaitGroup // answers
	mu       sync.Mutex
	open     map[int]int
	most     int
	answered atomic.Int64
	fail     error
}

func (s *slow) send(_ context.Context, partition int, _ *batchOf, done func(error)) error {
	s.mu.Lock()
	s.open[partition]++
	s.most = max(s.most, s.open[partition])
	s.mu.Unlock()
	s.coming.Add(1)
	time.AfterFunc(s.after, func() {
		defer s.coming.Done()
		s.mu.Lock()
		s.open[partition]--
		s.mu.Unlock()
		s.answered.Add(1)
		done(s.fail)
	})
	return nil
}

func (s *slow) read(context.Context, int, func([]byte) (bool, error)) error { return nil }
func (s *slow) close() error                                                { s.coming.Wait(); return nil }

// generating closes the driver before the ledger, as the load does: an answer
// that comes after the generator stopped still marks its batch.
func generating(t *testing.T, s shape, d driver) *generator {
	l, err := openLedger(filepath.Join(t.TempDir(), "ledger"), s.Partitions)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.close()) })
	t.Cleanup(func() { require.NoError(t, d.close()) })
	return newGenerator(s, d, l)
}

func TestAClosedLoopHasSoManyInFlightAndNoMore(t *testing.T) {
	d := &slow{after: time.Millisecond, open: map[int]int{}}
	g := generating(t, shape{Verb: "fill", Partitions: 2, RecordSize: 100, Batch: 4, InFlight: 3, Records: 2 * 4 * 20}, d)
	g.run(t.Context())
	require.NoError(t, g.failed)
	require.EqualValues(t, 40, d.answered.Load(), "so many records, and each answered")
	require.Equal(t, 3, d.most)
}

func TestAnOpenLoopCountsFromWhenABatchWasDue(t *testing.T) {
	// One may be in flight and each takes 20 ms, but one is due every 5 ms: the
	// n-th waits for 15 ms more than the one before it.
	d := &slow{after: 20 * time.Millisecond, open: map[int]int{}}
	g := generating(t, shape{Verb: "produce", Partitions: 1, RecordSize: 100, Batch: 1, InFlight: 1, Rate: 200}, d)
	g.measuring.Store(true)
	time.AfterFunc(400*time.Millisecond, func() { g.stop(nil) })
	g.run(t.Context())
	latest := time.Duration(g.latencies().Max()) * time.Microsecond
	require.Greater(t, latest, 100*time.Millisecond, "the time that a batch could not leave is not left out")
}

func TestTheFirstErrorStopsTheGenerator(t *testing.T) {
	d := &slow{after: time.Millisecond, open: map[int]int{}, fail: errors.New("refused")}
	g := generating(t, shape{Verb: "produce", Partitions: 2, RecordSize: 100, Batch: 1, InFlight: 8}, d)
	g.run(t.Context())
	require.ErrorContains(t, g.failed, "refused")
}
