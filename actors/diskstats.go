package actors

import (
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/wal"
)

// DiskStats are those of what the logs asked of the disk. The WAL's library
// makes calls of its own, a few for each of its files; they are not in here.
type DiskStats struct {
	Fsyncs       Histogram // of files: how long each took
	FsyncsFailed int64
	Written      int64 // bytes handed to the operating system
}

// Histogram counts durations. Counts[i] are those of at most Bounds[i] and
// more than Bounds[i-1]; the last count, for which there is no bound, has the
// rest.
type Histogram struct {
	Bounds []time.Duration
	Counts []uint64
	Sum    time.Duration
}

// fsyncBounds reach from a disk with a cache of its own to one that hangs.
var fsyncBounds = []time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// diskTally counts DiskStats.
type diskTally struct {
	elapsed func() time.Duration // since some moment
	counts  [17]atomic.Uint64    // one a bound, and the rest
	sum     atomic.Int64
	failed  atomic.Int64
	written atomic.Int64
}

func (t *diskTally) synced(took time.Duration, err error) {
	i := 0
	for i < len(fsyncBounds) && took > fsyncBounds[i] {
		i++
	}
	t.counts[i].Add(1)
	t.sum.Add(int64(took))
	if err != nil {
		t.failed.Add(1)
	}
}

func (t *diskTally) stats() DiskStats {
	h := Histogram{Bounds: fsyncBounds, Sum: time.Duration(t.sum.Load())}
	for i := range t.counts {
		h.Counts = append(h.Counts, t.counts[i].Load())
	}
	return DiskStats{Fsyncs: h, FsyncsFailed: t.failed.Load(), Written: t.written.Load()}
}

// countedFS is a disk whose files are counted.
type countedFS struct {
	wal.FS
	tally *diskTally
}

// Open is that of the FS.
func (c countedFS) Open(name string, create bool) (wal.File, error) {
	f, err := c.FS.Open(name, create)
	if err != nil {
		return nil, err
	}
	return countedFile{f, c.tally}, nil
}

type countedFile struct {
	wal.File
	tally *diskTally
}

// Sync is that of the File.
func (f countedFile) Sync() error {
	begun := f.tally.elapsed()
	err := f.File.Sync()
	f.tally.synced(f.tally.elapsed()-begun, err)
	return err
}

// WriteAt is that of the File.
func (f countedFile) WriteAt(off int64, bufs ...[]byte) error {
	err := f.File.WriteAt(off, bufs...)
	if err == nil {
		for _, b := range bufs {
			f.tally.written.Add(int64(len(b)))
		}
	}
	return err
}
