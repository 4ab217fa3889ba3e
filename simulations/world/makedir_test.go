package world_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/simulations/world"
	"github.com/troupe-mq/troupe/wal"
)

// A file that was fsynced is lost all the same when the name of a directory
// above it is not durable.
func TestADirectoryIsMadeDurably(t *testing.T) {
	for _, mode := range world.Modes() {
		d, err := world.NewDisk(1)
		require.NoError(t, err)
		dir := filepath.Join(d.Root(), "var", "lib", "data")
		fs := d.Mount()
		require.NoError(t, wal.MakeDir(fs, dir))
		require.NoError(t, wal.WriteFile(fs, filepath.Join(dir, "f"), []byte("kept")))
		require.NoError(t, d.Crash(mode, nil))
		p, err := wal.ReadFile(d.Mount(), filepath.Join(dir, "f"))
		require.NoError(t, err, "mode %v", mode)
		require.Equal(t, "kept", string(p))
		require.NoError(t, d.Close())
	}
}
