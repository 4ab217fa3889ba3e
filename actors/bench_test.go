package actors

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/codec"
)

// BenchmarkProduce64K is the durable way of ready 64 KiB batches through one
// partition's actor, eight in flight; BenchmarkPlainFile is the same bytes
// appended to a file in steps of 512 KiB with an fdatasync after each.
func BenchmarkProduce64K(b *testing.B) {
	s := newStage(b, settings{})
	require.NoError(b, s.open())
	const inFlight = 8
	free := make(chan codec.Batch, inFlight)
	for range inFlight {
		free <- batchOf(b, 64, 1000)
	}
	var wg sync.WaitGroup
	b.SetBytes(int64(len(batchOf(b, 64, 1000))))
	for b.Loop() {
		p := <-free
		wg.Add(1)
		err := s.handle.ProduceVerified(context.Background(), p, func(_ codec.Produced, err error) {
			if err != nil {
				b.Error(err)
			}
			free <- p
			wg.Done()
		})
		require.NoError(b, err)
	}
	wg.Wait()
	s.end()
}

func BenchmarkPlainFile(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	require.NoError(b, err)
	p := make([]byte, 512<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		_, err := f.Write(p)
		require.NoError(b, err)
		require.NoError(b, unix.Fdatasync(int(f.Fd())))
	}
	require.NoError(b, f.Close())
}
