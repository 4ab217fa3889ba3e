package chaos

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lan is a network for a test; ok is false, and said, where there can be none.
func lan(t testing.TB, names ...string) (l *Lan, ok bool) {
	l, err := NewLan(rand.New(rand.NewPCG(1, 1)), names...)
	if errors.Is(err, ErrNotPermitted) {
		t.Logf("NOT RUN: %v", err)
		return nil, false
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, true
}

// echo answers what it is told, on a host.
func echo(t testing.TB, h *Host) string {
	var l net.Listener
	require.NoError(t, h.Do(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(h.Address.String(), "9000"))
		return err
	}))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// trip sends n bytes and waits for them to come back.
func trip(c net.Conn, n int, within time.Duration) error {
	sent := make([]byte, n)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	_ = c.SetDeadline(time.Now().Add(within))
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		failed <- err
	}()
	got := make([]byte, n)
	_, err := io.ReadFull(c, got)
	if werr := <-failed; err == nil {
		err = werr
	}
	if err == nil && string(got) != string(sent) {
		err = errors.New("other bytes came back")
	}
	return err
}

func TestHostsReachEachOther(t *testing.T) {
	l, ok := lan(t, "n1", "n2", "clients")
	if !ok {
		return
	}
	at := echo(t, l.Host("n2"))
	for _, from := range []string{"n1", "clients", "n2"} {
		c, err := l.Host(from).Dial(patience(t, 5*time.Second), "tcp", at)
		require.NoError(t, err, from)
		require.NoError(t, trip(c, 4<<20, 20*time.Second), from)
		require.NoError(t, c.Close())
	}
}

// What is cut one way does not come; the other way it would, and TCP needs
// both. When the cut is over it goes on where it was.
func TestACableIsCutAndMended(t *testing.T) {
	l, ok := lan(t, "n1", "n2")
	if !ok {
		return
	}
	n1, n2 := l.Host("n1"), l.Host("n2")
	c, err := n1.Dial(patience(t, 5*time.Second), "tcp", echo(t, n2))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, trip(c, 100, 5*time.Second))
	for _, way := range [][2]*Host{{n1, n2}, {n2, n1}} {
		for _, bad := range []Way{{Cut: true}, {Stalled: true}} {
			l.Switch.Set(way[0], way[1], bad)
			_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
			_, err = c.Write([]byte("x"))
			require.NoError(t, err)
			_, err = io.ReadFull(c, make([]byte, 1))
			require.Error(t, err, "%+v", bad)
			l.Switch.Set(way[0], way[1], Way{})
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = io.ReadFull(c, make([]byte, 1))
			require.NoError(t, err, "%+v", bad)
		}
	}
}

// However frames are lost, doubled, garbled, delayed and mixed: what TCP
// brings is what was sent.
func TestABadCableIsSlowAndRight(t *testing.T) {
	l, ok := lan(t, "n1", "n2")
	if !ok {
		return
	}
	n1, n2 := l.Host("n1"), l.Host("n2")
	c, err := n1.Dial(patience(t, 5*time.Second), "tcp", echo(t, n2))
	require.NoError(t, err)
	defer c.Close()
	bad := Way{Loss: 0.02, Double: 0.1, Garbled: 0.01, Slow: 5 * time.Millisecond, Mixed: true}
	l.Switch.Set(n1, n2, bad)
	l.Switch.Set(n2, n1, bad)
	require.NoError(t, trip(c, 256<<10, 60*time.Second))
	lost := l.Switch.ways[0][1].lost.Load() + l.Switch.ways[1][0].lost.Load()
	require.Positive(t, lost, "something was lost, or nothing was tried")
}

// A dial towards a host on which nobody listens is refused at once; one over a
// cut cable is not answered.
func TestNobodyListensIsNotACut(t *testing.T) {
	l, ok := lan(t, "n1", "n2")
	if !ok {
		return
	}
	n1, n2 := l.Host("n1"), l.Host("n2")
	nowhere := net.JoinHostPort(n2.Address.String(), "9")
	_, err := n1.Dial(patience(t, 5*time.Second), "tcp", nowhere)
	require.ErrorContains(t, err, "refused")
	l.Switch.Set(n1, n2, Way{Cut: true})
	_, err = n1.Dial(patience(t, 300*time.Millisecond), "tcp", nowhere)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}
