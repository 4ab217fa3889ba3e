package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestDeadlines(t *testing.T) {
	s := New(Limits{}.WithDefaults())
	now := 3 * time.Second
	require.Equal(t, 10*time.Second, s.Due(now, Magic, 0, false), "counted from the connection on")
	require.Equal(t, 10*time.Second, s.Due(now, Hello, 0, false))
	require.Equal(t, 10*time.Second, s.Due(now, Body, 100, true), "HELLO's body falls under the handshake")
	_, err := s.Hello(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1})
	require.NoError(t, err)
	require.Equal(t, now+5*time.Minute, s.Due(now, Request, 0, false))
	s.Take(100)
	require.Equal(t, Never, s.Due(now, Request, 0, false), "the client waits, not the broker")
	require.Equal(t, now+30*time.Second, s.Due(now, Body, 100, false), "a frame begun is awaited all the same")
	s.Release(1, 100)
	require.Equal(t, now+5*time.Minute, s.Due(now, Request, 0, false))
	require.Equal(t, now+30*time.Second, s.Due(now, Body, 8<<20, false))
	require.Equal(t, now+9*time.Second, s.Due(now, Body, 8<<20, true), "others wait")
	require.Equal(t, now+30*time.Second, s.WriteDue(now, 8<<20, false))
	require.Equal(t, now+3*time.Second, s.WriteDue(now, 2<<20, true))
	require.Equal(t, now+30*time.Second, s.WriteDue(now, 64<<20, true), "never longer than without")
	require.EqualError(t, s.Late(Body, 1<<20, true), "TIMED_OUT: a frame of 1048576 bytes did not come within 2s, while others wait")
	require.EqualError(t, s.Late(Body, 16, false), "TIMED_OUT: a frame of 16 bytes did not come within 30s")
}

func TestEntrance(t *testing.T) {
	e := NewEntrance(Limits{Connections: 5}.WithDefaults())
	for range 3 {
		require.NoError(t, e.Enter("a"))
	}
	require.EqualError(t, e.Enter("a"), "TOO_MANY_CONNECTIONS: 3 connections from a: at most 3 of one address are allowed")
	require.NoError(t, e.Enter("b"))
	require.NoError(t, e.Enter("b"))
	require.EqualError(t, e.Enter("c"), "OVERLOADED: 5 connections: at most 5 are allowed")
	e.Leave("a")
	require.NoError(t, e.Enter("c"))
	e.Leave("b")
	e.Leave("b")
	e.Leave("c")
	e.Leave("a")
	e.Leave("a")
	require.Zero(t, e.Open())
	require.Empty(t, e.from, "nothing is kept of who has left")
}
