package world_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
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

// The fsync of a hard state fails, and the process is killed. The next one
// reads it from the page cache, where it is not durable: should power fail
// while that one opens the log, the state before it must be there, with all
// that it needs.
func TestAHardStateWhoseFsyncFailedIsNotReliedOn(t *testing.T) {
	for what, write := range map[string]func(p *logPlay) error{
		"vote": func(p *logPlay) error { return p.log.Write(&wal.Write{Vote: &wal.Vote{Term: 9, For: 3}}) },
		"retention": func(p *logPlay) error {
			p.x.SetStart(p.x.Next())
			return p.log.Retain(p.x.Drop(1 << 40))
		},
	} {
		images := 0
		for seed := range uint64(20) {
			p := newLogPlay(t, seed)
			p.create()
			p.append(6, 1, 900)
			p.commit()
			p.vote(5)
			p.disk.Inject(func(c world.Call) world.Fault {
				if c.Op == "sync" && c.Name == "r/hard" {
					return world.EIO
				}
				return world.None
			})
			require.True(t, wal.IsSyncFailed(write(p)), what)
			p.disk.Inject(nil)
			require.NoError(t, p.disk.Crash(world.Kept, nil))
			chance := rand.New(rand.NewPCG(seed, 95))
			p.disk.OnCall(func(c world.Call) {
				n, err := p.disk.Images(4, chance, func(root string, _ world.Mode) error {
					o, err := wal.Open(wal.OS{}, filepath.Join(root, imagedDir), p.opts, nil)
					if err != nil {
						return err
					}
					if o.Hard.Term < 5 || o.Index.Last() < 7 {
						return fmt.Errorf("term %d, entries up to %d", o.Hard.Term, o.Index.Last())
					}
					return o.Log.Close()
				})
				images += n
				require.NoError(t, err, "%s, seed %d, power fails at call %v (done: %v)", what, seed, c, c.Done)
			})
			p.open()
			p.disk.OnCall(nil)
			require.NoError(t, p.log.Close())
		}
		require.Greater(t, images, 100, what)
	}
}
