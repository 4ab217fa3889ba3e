package main

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// closedPipe is an output that nobody reads any more.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// That nobody reads the output is no failure; what failed besides it is one.
func TestAClosedPipeHidesNoFailure(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "t")
	tell := func(args ...string) error {
		return run(context.Background(), append(args, "--server", s.address), strings.NewReader("x\n"), closedPipe{}, io.Discard)
	}
	require.NoError(t, tell("topic", "list"))
	require.NoError(t, tell("produce", "t", "-o", "json"))
	require.NoError(t, tell("consume", "t"))
	bench := []string{"bench", "produce", "-o", "json", "--topic", "t", "--partitions", "1", "--records", "1"}
	require.NoError(t, tell(bench...))
	require.ErrorContains(t, tell(append(bench, "--hgrm", t.TempDir()+"/not/there")...), "not/there")
}
