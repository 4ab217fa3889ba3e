package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// built is where the binary of this run lies; TestMain removes it.
var built struct {
	dir  string
	once sync.Once
	err  error
}

func TestMain(m *testing.M) {
	if plainMain() || siegeMain() {
		return
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary builds the real binary, once for all tests.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "troupe-chaos-"); built.err == nil {
			built.err = Build(context.Background(), filepath.Join(built.dir, "troupe"))
		}
	})
	require.NoError(t, built.err)
	return filepath.Join(built.dir, "troupe")
}

// fromEnv is a number from the environment, or otherwise.
func fromEnv(t testing.TB, name string, otherwise uint64) uint64 {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err, name)
	return n
}

// options are those of a scenario, with the one command that repeats it.
func options(t *testing.T, rounds uint64) Options {
	o := Options{Binary: binary(t), Dir: t.TempDir(), Seed: fromEnv(t, "TROUPE_CHAOS_SEED", rand.Uint64()), Rounds: int(fromEnv(t, "TROUPE_CHAOS_ROUNDS", rounds))}
	t.Logf("again: TROUPE_CHAOS_SEED=%d TROUPE_CHAOS_ROUNDS=%d go test -count=1 -v -timeout 3h -run '^%s$' ./simulations/chaos", o.Seed, o.Rounds, t.Name())
	return o
}

// patience is a context that ends a scenario which hangs.
func patience(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestKillUnderLoad(t *testing.T) {
	o := options(t, 10)
	r, err := KillUnderLoad(patience(t, time.Minute+time.Duration(o.Rounds)*10*time.Second), o)
	t.Log(r)
	require.NoError(t, err)
	require.Equal(t, 1+o.Rounds+r.Cut, r.Lives)
	require.Equal(t, o.Rounds/verifyOf, r.Verified)
	require.GreaterOrEqual(t, r.Audited, r.Acked)
}

// TestKillUnderLoadFindsALoss gives the broker an older copy of its directory
// after a kill: its logs hold, and what was acknowledged since is gone.
func TestKillUnderLoadFindsALoss(t *testing.T) {
	o := Options{Binary: binary(t), Dir: t.TempDir(), Seed: 1, Rounds: 2}
	old := filepath.Join(t.TempDir(), "old")
	o.afterKill = func(round int, data string) error {
		if round == 0 {
			return os.CopyFS(old, os.DirFS(data))
		}
		return errors.Join(os.RemoveAll(data), os.Rename(old, data))
	}
	_, err := KillUnderLoad(patience(t, time.Minute), o)
	require.ErrorContains(t, err, " violations\n")
}

func TestStopUnderLoad(t *testing.T) {
	o := options(t, 3)
	r, err := StopUnderLoad(patience(t, 2*time.Minute), o)
	t.Log(r)
	require.NoError(t, err)
	require.Less(t, r.SlowestStop, StopWithin)
	require.Equal(t, o.Rounds, r.Verified)
	require.Equal(t, r.Acked+r.UnknownThere, r.Audited)
}

func TestPause(t *testing.T) {
	o := options(t, 1)
	r, err := Pause(patience(t, 2*time.Minute), o, 3*time.Second)
	t.Log(r)
	require.NoError(t, err)
	require.Zero(t, r.Unknown)
	require.Equal(t, r.Acked, r.Audited)
}

func TestTwoBrokers(t *testing.T) {
	o := options(t, 1)
	r, line, err := TwoBrokers(patience(t, time.Minute), o)
	t.Log(r)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("troupe: start broker: %s is held by another process: is a broker running on this directory?", filepath.Join(o.Dir, "data", "lock")), line)
	require.Zero(t, r.Unknown)
	require.Equal(t, 1, r.Lives)
}

func TestFullDisk(t *testing.T) {
	o := options(t, 1)
	o.Dir = filepath.Join(o.Dir, "small")
	require.NoError(t, os.Mkdir(o.Dir, 0o750))
	if err := syscall.Mount("tmpfs", o.Dir, "tmpfs", 0, fmt.Sprintf("size=%d", TmpfsBytes)); err != nil {
		require.ErrorIs(t, err, syscall.EPERM)
		t.Logf("NOT RUN: this scenario needs a small file system of its own, and mounting one is not permitted here: %v", err)
		return
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(o.Dir, 0)) })
	r, refusals, err := FullDisk(patience(t, 2*time.Minute), o)
	t.Log(r)
	for _, refused := range refusals {
		t.Log("a producer was told:", refused)
	}
	require.NoError(t, err)
	require.Len(t, refusals, 2)
	require.ErrorContains(t, refusals[0], "DISK_FULL: the disk has less than its reserve of 134217728 bytes free: records are refused until there is room")
	require.ErrorContains(t, refusals[1], "DISK_FULL: ")
}

func TestLeak(t *testing.T) {
	o := options(t, 3)
	before, after, err := Leak(patience(t, time.Minute), o)
	t.Logf("before: %d descriptors, %d threads; after %d rounds of %d connections and %d topics: %d and %d", before.Descriptors, before.Threads,
		o.Rounds, leakConnections, leakTopics, after.Descriptors, after.Threads)
	require.NoError(t, err)
}
