package world

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestACableIsAsTCP holds a connection in memory to what programs know of TCP's.
func TestACableIsAsTCP(t *testing.T) {
	for name, law := range map[string]func(*testing.T, *cable){
		"bytes arrive in order, a little later": func(t *testing.T, c *cable) {
			began := time.Now()
			for _, s := range []string{"one ", "two ", "three"} {
				_, err := c.near.Write([]byte(s))
				require.NoError(t, err)
			}
			require.Equal(t, began, time.Now(), "a write waits for nobody")
			p := make([]byte, len("one two three"))
			_, err := io.ReadFull(c.far, p)
			require.NoError(t, err)
			require.Equal(t, "one two three", string(p))
			require.GreaterOrEqual(t, time.Since(began), wayLeast)
		},
		"who does not read holds up who writes": func(t *testing.T, c *cable) {
			require.NoError(t, c.near.SetWriteDeadline(time.Now().Add(time.Second)))
			n, err := c.near.Write(make([]byte, 2*cableWindow))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, cableWindow, n)
			go func() { _, _ = io.Copy(io.Discard, c.far) }()
			require.NoError(t, c.near.SetWriteDeadline(time.Time{}))
			_, err = c.near.Write(make([]byte, 2*cableWindow))
			require.NoError(t, err)
		},
		"the writer may use its bytes again": func(t *testing.T, c *cable) {
			p := []byte("mine")
			_, _ = c.near.Write(p)
			copy(p, "else")
			require.Equal(t, "mine", string(readAll(t, c, 4)))
		},
		"a deadline ends a read that waits, and only that": func(t *testing.T, c *cable) {
			time.AfterFunc(time.Second, func() { _ = c.far.SetReadDeadline(time.Unix(1, 0)) })
			_, err := c.far.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout())
			require.NoError(t, c.far.SetReadDeadline(time.Time{}))
			_, _ = c.near.Write([]byte("late"))
			require.Equal(t, "late", string(readAll(t, c, 4)))
		},
		"half of it may be closed": func(t *testing.T, c *cable) {
			_, _ = c.near.Write([]byte("last"))
			require.NoError(t, c.near.CloseWrite())
			p, err := io.ReadAll(c.far)
			require.NoError(t, err)
			require.Equal(t, "last", string(p))
			_, err = c.near.Write([]byte("more"))
			require.ErrorIs(t, err, syscall.EPIPE)
			_, err = c.far.Write([]byte("answer"))
			require.NoError(t, err)
			_, err = io.ReadFull(c.near, make([]byte, len("answer")))
			require.NoError(t, err)
		},
		"closing ends what waits at both ends": func(t *testing.T, c *cable) {
			time.AfterFunc(time.Second, func() { _ = c.near.Close() })
			near := make(chan error)
			go func() {
				_, err := c.near.Read(make([]byte, 1))
				near <- err
			}()
			_, err := c.far.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.ErrorIs(t, <-near, net.ErrClosed)
			require.ErrorIs(t, c.near.Close(), net.ErrClosed)
		},
		"what nobody will read resets it": func(t *testing.T, c *cable) {
			require.NoError(t, c.far.Close())
			_, err := c.near.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			_, err = c.near.Write([]byte("nobody reads this"))
			require.NoError(t, err, "it is not known yet")
			time.Sleep(time.Second)
			_, err = c.near.Write([]byte("nor this"))
			require.ErrorIs(t, err, syscall.EPIPE)
		},
		"a cut keeps what is on its way": func(t *testing.T, c *cable) {
			c.far.hold(true)
			_, _ = c.near.Write(bytes.Repeat([]byte("x"), 10))
			require.NoError(t, c.far.SetReadDeadline(time.Now().Add(time.Minute)))
			_, err := c.far.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			c.far.hold(false)
			require.NoError(t, c.far.SetReadDeadline(time.Time{}))
			require.Len(t, readAll(t, c, 10), 10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := 0
				c := newCable("program:1", "n1:9650", stream(1, name), func() { gone++ })
				law(t, c)
				_, _ = c.near.Close(), c.far.Close()
				require.Equal(t, 1, gone)
			})
		})
	}
}

// readAll reads n bytes at the far end.
func readAll(t *testing.T, c *cable, n int) []byte {
	p := make([]byte, n)
	_, err := io.ReadFull(c.far, p)
	require.NoError(t, err)
	return p
}
