package world

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// replica is a real log on a simulated disk, and what it acknowledged.
type replica struct {
	t     *testing.T
	d     *Disk
	dir   string
	o     *wal.Opened
	acked codec.Index // durable, by what Write said
	sent  codec.Index // handed to Write
}

var small = wal.Options{SegmentBytes: 4096}

const term = 2

func aReplica(t *testing.T, seed uint64) *replica {
	t.Helper()
	d, err := NewDisk(seed)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	r := &replica{t: t, d: d, dir: d.at("r"), acked: 1, sent: 1}
	require.NoError(t, wal.Create(d.Mount(), r.dir, wal.Hard{Group: 7, Replica: 3, Term: 1, Commit: 1, Durable: 1, Before: 1, BeforeTerm: 1, Conf: []byte("c"), ConfAsOf: 1}))
	r.open()
	return r
}

func (r *replica) open() {
	r.t.Helper()
	var err error
	r.o, err = wal.Open(r.d.Mount(), r.dir, small, nil)
	require.NoError(r.t, err)
}

// write hands n batches to the log; they are acknowledged when it says so.
func (r *replica) write(n int) error {
	w := &wal.Write{}
	next := r.o.Index.Next()
	for range n {
		r.sent++
		p := batchAt(r.t, next)
		w.Entries = append(w.Entries, wal.Entry{Index: r.sent, Term: term, Payloads: []codec.Batch{p},
			Data: codec.AppendBatchEntry(nil, codec.Describe(p, codec.Millis(r.sent)))})
		next++
	}
	err := r.o.Log.Write(w)
	if err == nil {
		r.o.Index.Add(w.Entries)
		r.acked = r.sent
	}
	return err
}

// batchAt is the batch of one record that belongs at offset, 300 bytes.
func batchAt(t *testing.T, offset codec.Offset) codec.Batch {
	t.Helper()
	var b codec.Builder
	b.Append(codec.Millis(offset), nil, fmt.Appendf(nil, "%0230d", offset), nil)
	p, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	p = append(codec.Batch(nil), p...)
	p.Stamp(offset, term)
	return p
}

// holds opens what a crash left and finds every acknowledged record, bit for
// bit, and none that was not sent.
func (r *replica) holds(fs wal.FS, dir, why string) {
	r.t.Helper()
	o, err := wal.Open(fs, dir, small, nil)
	require.NoError(r.t, err, why)
	last := o.Index.Last()
	require.GreaterOrEqual(r.t, last, r.acked, why)
	require.LessOrEqual(r.t, last, r.sent, why)
	o.Index.Commit(last)
	v := o.Index.View()
	for at := v.Start(); at < v.HighWatermark(); at++ {
		p, err := v.Read(nil, at, 1)
		require.NoError(r.t, err, why)
		require.Equal(r.t, batchAt(r.t, at), codec.Batch(p), why)
	}
	require.EqualValues(r.t, last-1, v.HighWatermark(), why)
	require.NoError(r.t, o.Log.Close(), why)
}

// TestTheRealLogInEveryImage draws crash images before and behind every call
// that the log makes. The log's own room does this at length; here it is the
// disk that is shown to allow no less and no more than a disk does.
func TestTheRealLogInEveryImage(t *testing.T) {
	r := aReplica(t, 1)
	images := 0
	chance := stream(1, "test")
	r.d.OnCall(func(c Call) {
		n, err := r.d.Images(6, chance, func(dir string, mode Mode) error {
			r.holds(wal.OS{}, dir+"/r", fmt.Sprintf("%v image at %v", mode, c))
			return nil
		})
		require.NoError(t, err)
		images += n
	})
	for i := range 25 {
		require.NoError(t, r.write(1+i%4))
	}
	r.d.OnCall(nil)
	require.Greater(t, images, 300)
	require.NoError(t, r.o.Log.Close())
}

// TestTheRealLogThroughCrashes lives many lives on one disk; a fault ends a
// life, or a crash does, while writing and while opening.
func TestTheRealLogThroughCrashes(t *testing.T) {
	for _, seed := range seeds(t, 30) {
		r := aReplica(t, seed)
		chance := stream(seed, "lives")
		for life := range 10 {
			why := fmt.Sprintf("seed %d life %d", seed, life)
			why += r.dies(chance, 5+chance.IntN(60), func() {
				for i, err := 0, error(nil); err == nil && i < 60; i++ { // room that is not got ahead is no error
					err = r.write(1 + chance.IntN(5))
				}
			})
			why += r.dies(chance, chance.IntN(60), func() {
				if o, err := wal.Open(r.d.Mount(), r.dir, small, nil); err == nil {
					_ = o.Log.Close()
				}
			})
			r.holds(r.d.Mount(), r.dir, why)
			r.open()
			r.acked, r.sent = r.o.Index.Last(), r.o.Index.Last()
		}
		require.NoError(t, r.o.Log.Close())
		require.Zero(t, r.d.Handles(), "seed %d: the log leaves no file open", seed)
	}
}

// dies does f with a fault in the k-th call, and crashes.
func (r *replica) dies(chance *rand.Rand, k int, f func()) (why string) {
	fault, mode := Faults()[chance.IntN(len(Faults()))], allModes()[chance.IntN(len(allModes()))]
	k += r.d.Calls()
	why = ", no fault"
	r.d.Inject(func(c Call) Fault {
		if c.Seq != k {
			return None
		}
		why = fmt.Sprintf(", %v of %v", fault, c)
		return fault
	})
	unlessHung(f)
	r.d.Inject(nil)
	require.NoError(r.t, r.d.Crash(mode, chance))
	return fmt.Sprintf("%s and %v", why, mode)
}
