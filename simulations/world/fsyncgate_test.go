package world_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
	"github.com/troupe-mq/troupe/wal"
)

// An fsync fails, and the kernel calls the pages clean all the same. The
// process is killed; the next one finds the entry whole in the page cache. If
// it goes on with it, the entry must survive a loss of power from then on,
// though an fsync alone would not write it: Open has to write it again.
func TestWhatAFailedFsyncLeftIsWrittenAgain(t *testing.T) {
	kept := 0
	for k := range 40 {
		p := newLogPlay(t, uint64(k))
		p.create()
		p.vote(2)
		p.append(2, 2, 50)
		p.disk.Inject(func() func(world.Call) world.Fault {
			n := 0
			return func(c world.Call) world.Fault {
				if c.Op == "sync" {
					if n++; n == k%3+1 {
						return world.EIO
					}
				}
				return world.None
			}
		}())
		w := &wal.Write{Entries: []wal.Entry{p.entry(p.x.Last()+1, p.x.Next(), 1, 80), p.entry(p.x.Last()+2, p.x.Next()+1, 1, 80)}}
		err := p.log.Write(w)
		p.disk.Inject(nil)
		require.Equal(t, k%3 < 2, wal.IsSyncFailed(err), "%v", err)
		require.NoError(t, p.disk.Crash(world.Kept, nil))

		p.open()
		last := p.x.Last()
		kept += int(last) - 3
		require.NoError(t, p.log.Close())
		require.NoError(t, p.disk.Crash(world.Lost, nil))

		p.open()
		require.Equal(t, last, p.x.Last(), "what an opening went on with is durable")
		p.x.Commit(last)
		v := p.x.View()
		for o := codec.Offset(0); o < v.HighWatermark(); {
			b, err := v.Read(nil, o, 1)
			require.NoError(t, err)
			o += codec.Offset(codec.Batch(b).Count())
		}
		require.NoError(t, p.log.Close())
	}
	require.Positive(t, kept, "no entry of a failed group was ever found again: the test is blind")
}
