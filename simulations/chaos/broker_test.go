package chaos

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBrokerLives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b, err := NewBroker(binary(t), dir)
	require.NoError(t, err)
	ctx := patience(t, time.Minute)
	require.NoError(t, b.Start(ctx))
	require.Regexp(t, `^ready node=chaos listen=127\.0\.0\.1:\d+ cluster=[0-9a-f-]{36} topics=0 in \d+ms$`, b.Line)
	require.Positive(t, b.Ready)
	first := b.PID()
	require.NoError(t, b.Kill())
	require.Zero(t, b.PID())
	require.ErrorIs(t, syscall.Kill(first, 0), syscall.ESRCH)
	require.NoError(t, b.Start(ctx))
	require.NoError(t, b.Stop(StopWithin))
	require.NoError(t, b.Kill(), "there is none")
	require.Error(t, b.Signal(syscall.SIGTERM))
	require.Contains(t, b.Log(), "msg=stopping")
	require.Empty(t, b.Errors())
}

func TestBrokerThatCannotStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(dir, []byte("not a directory"), 0o600))
	b, err := NewBroker(binary(t), dir)
	require.NoError(t, err)
	err = b.Start(patience(t, time.Minute))
	require.ErrorContains(t, err, "exit status 1; its last words:\ntroupe: ")
	require.Zero(t, b.PID())
}

func TestBuildSaysWhatWentWrong(t *testing.T) {
	require.ErrorContains(t, Build(t.Context(), filepath.Join(t.TempDir(), "x"), "-no-such-flag"), "flag provided but not defined: -no-such-flag")
}

func TestUsage(t *testing.T) {
	u, err := ReadUsage(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, u.Resident, int64(1<<20))
	require.GreaterOrEqual(t, u.Peak, u.Resident)
	require.Positive(t, u.Threads)
	require.Positive(t, u.Descriptors)

	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	more, err := ReadUsage(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, more.Descriptors, u.Descriptors)

	cpu, err := cpuOf("42 (a ) name) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1")
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, cpu)
	_, err = cpuOf("nonsense")
	require.Error(t, err)
	_, err = ReadUsage(-1)
	require.Error(t, err)
}
