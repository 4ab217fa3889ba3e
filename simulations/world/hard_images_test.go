package world_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
	"github.com/troupe-mq/troupe/wal"
)

// A log votes, changes its configuration, rests and is opened again. Before and
// after each call for that file it is imaged; in each image a slot of the hard
// state rots, too. Whatever is found, it is never an older promise than the last
// one that was made: where that cannot be told, the replica is damaged.
func TestNoCrashAndNoRotTakesAPromiseBack(t *testing.T) {
	p := newLogPlay(t, 11)
	p.create()
	chance := rand.New(rand.NewPCG(1, 1))
	images, damaged, found := 0, 0, 0
	open := func(dir string, rotten bool) {
		o, err := wal.Open(wal.OS{}, dir, p.opts, nil)
		if err != nil {
			require.True(t, rotten, "a crash alone damages nothing: %v", err)
			require.True(t, wal.IsCorrupt(err), "%v", err)
			damaged++
			return
		}
		defer func() { require.NoError(t, o.Log.Close()) }()
		found++
		require.GreaterOrEqual(t, o.Hard.Term, p.model.term)
		if o.Hard.Term == p.model.term {
			require.Equal(t, p.model.vote, o.Hard.Vote)
		}
	}
	p.disk.OnCall(func(c world.Call) {
		if !strings.HasSuffix(c.Name, "/hard") || c.Op == "read" {
			return
		}
		_, err := p.disk.Images(8, chance, func(root string, _ world.Mode) error {
			images++
			dir := filepath.Join(root, imagedDir)
			name := filepath.Join(dir, "hard")
			whole, err := os.ReadFile(name)
			require.NoError(t, err)
			for slot := range 2 {
				for i, rot := range []func([]byte){
					func(p []byte) {},
					func(p []byte) { clear(p) },
					func(p []byte) { clear(p[:512]) },
					func(p []byte) { p[chance.IntN(100)] ^= 1 << chance.IntN(8) },
				} {
					p := append([]byte(nil), whole...)
					rot(p[slot*len(p)/2 : (slot+1)*len(p)/2])
					require.NoError(t, os.WriteFile(name, p, 0o600))
					open(dir, i > 0)
				}
			}
			return nil
		})
		require.NoError(t, err)
	})
	for term := range codec.Term(4) {
		p.vote(10 + term)
		p.append(1, 1, 30)
		p.commit()
		p.must(p.log.SetConf(asOf(p.x.Committed(), 0), p.x.Committed()))
		p.must(p.log.Rest(p.x.Committed()))
		p.reopen()
	}
	p.disk.OnCall(nil)
	require.Greater(t, images, 200)
	require.Greater(t, found, damaged)
	require.Positive(t, damaged)
	t.Logf("%d images, opened %d times, damaged %d times", images, found, damaged)
}
