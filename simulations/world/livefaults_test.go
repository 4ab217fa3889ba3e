package world_test

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/simulations/world"
)

// TestWhatAConnectionSees holds faults to what a program sees of them on real
// sockets: on a connection that it has, and when it connects anew.
func TestWhatAConnectionSees(t *testing.T) {
	const n1 = "n1:9650"
	for _, c := range []struct {
		name         string
		strike       func(*world.Live)
		read         error // of what a Read says within 5 s
		dial         error // of what a Dial says within 5 s
		mend         func(*world.Live)
		afterwards   error // of the same connection
		afterwardsOf string
	}{
		{"nothing", func(*world.Live) {}, os.ErrDeadlineExceeded, nil, func(*world.Live) {}, nil, "the server greets who sends anything"},
		{"killed", func(c *world.Live) { c.Kill("n1") }, syscall.ECONNRESET, syscall.ECONNREFUSED,
			func(c *world.Live) { c.Start("n1") }, syscall.ECONNRESET, "it ended with the process"},
		{"without power", func(c *world.Live) { c.PowerCut("n1") }, os.ErrDeadlineExceeded, context.DeadlineExceeded,
			func(c *world.Live) { c.Start("n1") }, syscall.ECONNRESET, "the machine knows nothing of it any more"},
		{"paused", func(c *world.Live) { c.Pause("n1") }, os.ErrDeadlineExceeded, nil,
			func(c *world.Live) { c.Resume("n1") }, nil, "it goes on"},
		{"cut off", func(c *world.Live) { c.Cut("n1", world.Program) }, os.ErrDeadlineExceeded, context.DeadlineExceeded,
			func(c *world.Live) { c.Heal() }, nil, "it goes on"},
		{"another node is killed", func(c *world.Live) { c.Kill("n2") }, os.ErrDeadlineExceeded, nil, func(*world.Live) {}, nil, "it goes on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			world.Test(t, world.Options{}, func(t *testing.T, live *world.Live) {
				conn, err := live.Dial(t.Context(), n1)
				require.NoError(t, err)
				defer conn.Close()
				c.strike(live)
				require.ErrorIs(t, readWithin(conn, 5*time.Second), c.read)

				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				second, err := live.Dial(ctx, n1)
				require.ErrorIs(t, err, c.dial)
				if second != nil {
					defer second.Close()
				}
				c.mend(live)
				_, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")) // no client of ours, and told so
				require.ErrorIs(t, readWithin(conn, 5*time.Second), c.afterwards, c.afterwardsOf)
			})
		})
	}
}

// readWithin is the error of a Read; nil for an end in good order as well.
func readWithin(c net.Conn, d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 100))
	if err == io.EOF {
		return nil
	}
	return err
}

func TestDialKnowsTheClusterOnly(t *testing.T) {
	world.Test(t, world.Options{Nodes: 1}, func(t *testing.T, c *world.Live) {
		require.Equal(t, []string{"n1:9650"}, c.Addresses())
		_, err := c.Dial(t.Context(), "n2:9650")
		require.ErrorContains(t, err, "no such host in the simulated cluster")
		require.PanicsWithValue(t, `world: there is no node "n2": they are [n1]`, func() { c.Kill("n2") })
	})
}
