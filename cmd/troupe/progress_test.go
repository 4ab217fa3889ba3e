package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// drawn is what an effort shows at the given times after its beginning; it is
// half done at 2 s.
func drawn(e effort, at ...time.Duration) string {
	var out bytes.Buffer
	begun := time.Now()
	var n atomic.Int64
	e.done = n.Load
	tick, stopped, gone := make(chan time.Time), make(chan struct{}), make(chan struct{})
	go func() { defer close(gone); e.show(&out, begun, tick, stopped) }()
	for _, d := range at {
		n.Store(int64(d / time.Millisecond))
		tick <- begun.Add(d)
	}
	close(stopped)
	<-gone
	return out.String()
}

func TestProgressBegins(t *testing.T) {
	e := effort{total: 4000, bytes: true, says: func() string { return "7 records stored" }}
	require.Empty(t, drawn(e, 200*time.Millisecond, 900*time.Millisecond), "a short command shows nothing")
	shown := drawn(e, 900*time.Millisecond, 2*time.Second)
	require.Contains(t, shown, "7 records stored")
	require.Contains(t, shown, "50%")
	require.Contains(t, shown, "2.0/4.0 kB")
	require.NotContains(t, shown, "\n")
	require.True(t, strings.HasSuffix(shown, "\r"), "it is taken away: %q", shown)
	require.NotContains(t, drawn(e, 9*time.Second), "\n", "more than was expected")
	e.total = 0
	shown = drawn(e, 2*time.Second)
	require.Contains(t, shown, "7 records stored")
	require.Contains(t, shown, "2.0 kB")
	require.NotContains(t, shown, "%")
}

// Nothing is drawn and nothing runs where nobody looks.
func TestNoProgressInAPipe(t *testing.T) {
	var out bytes.Buffer
	stop := streams{err: &out}.watch(effort{})
	stop()
	require.Empty(t, out.String())
	require.False(t, isTerminal(&out))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	require.False(t, isTerminal(null), "a device, and nobody there")
	require.NoError(t, null.Close())
}

func TestTheSizeOfAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, make([]byte, 1000), 0o600))
	f, err := os.Open(name)
	require.NoError(t, err)
	require.EqualValues(t, 1000, sizeOf(f))
	_, err = io.CopyN(io.Discard, f, 300)
	require.NoError(t, err)
	require.EqualValues(t, 700, sizeOf(f), "as with head -c 300 before it")
	require.NoError(t, f.Close())
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.Zero(t, sizeOf(r))
	require.NoError(t, r.Close())
	require.NoError(t, w.Close())
	require.Zero(t, sizeOf(strings.NewReader("x")))
}

// terminal is a pair of a person's side and a command's.
func terminal(t *testing.T) (person, command *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return person, command
}

// A person who pipes slowly sees how far it is; the result is in no way mixed
// with it.
func TestAPersonSeesProgress(t *testing.T) {
	s := newStage(t)
	person, side := terminal(t)
	c := exec.CommandContext(context.Background(), os.Args[0], "produce", "t", "--create", "--server", s.address, "-o", "json")
	c.Env = append(os.Environ(), asTroupe+"=1")
	c.Stderr = side
	in, err := c.StdinPipe()
	require.NoError(t, err)
	var out bytes.Buffer
	c.Stdout = &out
	require.NoError(t, c.Start())
	require.NoError(t, side.Close())
	_, err = io.WriteString(in, "one\ntwo\n")
	require.NoError(t, err)
	var seen strings.Builder
	p := make([]byte, 4096)
	for !strings.Contains(seen.String(), "2 records stored") {
		n, err := person.Read(p)
		require.NoError(t, err, seen.String())
		seen.Write(p[:n])
	}
	require.NoError(t, in.Close())
	require.NoError(t, c.Wait())
	require.NoError(t, person.Close())
	require.EqualValues(t, 2, fromJSON[produced](t, out.String())[0].Records)
	require.NotContains(t, seen.String(), "\n")
}

// Who types lines is told that they are read, and how to end.
func TestAPersonTypesRecords(t *testing.T) {
	s := newStage(t)
	person, side := terminal(t)
	c := exec.CommandContext(context.Background(), os.Args[0], "produce", "t", "--create", "--server", s.address)
	c.Env = append(os.Environ(), asTroupe+"=1")
	c.Stdin, c.Stderr = side, side
	require.NoError(t, c.Start())
	require.NoError(t, side.Close())
	screen := bufio.NewReader(person)
	line, err := screen.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "each line is a record; Ctrl-D ends\r\n", line)
	_, err = io.WriteString(person, "one\ntwo\n\x04")
	require.NoError(t, err)
	require.NoError(t, c.Wait())
	require.NoError(t, person.Close())
	require.Equal(t, "one\ntwo\n", s.do("", "consume", "t"))
}
