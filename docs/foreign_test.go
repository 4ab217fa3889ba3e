package docs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// foreign is a language that docs/examples has a client in.
type foreign struct {
	name, folder, extension string
	// prepare makes its package available below dir, and returns the command
	// that runs a file and what its environment needs.
	prepare func(ctx context.Context, dir string) (command string, env []string, err error)
}

var foreigners = []foreign{
	{"Python", "examples/python", ".py", preparePython},
	{"JavaScript", "examples/javascript", ".js", prepareNode},
}

func preparePython(ctx context.Context, dir string) (string, []string, error) {
	if run(ctx, dir, nil, "python3", "-c", "import msgpack") == nil {
		return "python3", nil, nil
	}
	if err := run(ctx, dir, nil, "python3", "-m", "venv", "venv"); err != nil {
		return "", nil, err
	}
	python := filepath.Join(dir, "venv", "bin", "python")
	return python, nil, run(ctx, dir, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "msgpack")
}

func prepareNode(ctx context.Context, dir string) (string, []string, error) {
	if err := run(ctx, dir, nil, "node", "--version"); err != nil {
		return "", nil, err
	}
	err := run(ctx, dir, nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "@msgpack/msgpack")
	return "node", []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, err
}

// run runs a command; its error has what it said last.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	_, err := output(ctx, dir, env, name, args...)
	return err
}

func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	return outputOf(ctx, dir, env, nil, name, args...)
}

func outputOf(ctx context.Context, dir string, env []string, in io.Reader, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	c.Env = append(c.Env, "PYTHONDONTWRITEBYTECODE=1")
	var said bytes.Buffer
	c.Stdin = in
	c.Stdout, c.Stderr = &said, &said
	c.WaitDelay = time.Second // what it has started may hold its output
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(said.Bytes()[max(0, said.Len()-500):]))
	}
	return said.String(), nil
}

// build builds a program of this module.
func build(t *testing.T, what string) string {
	binary := filepath.Join(t.TempDir(), filepath.Base(what))
	require.NoError(t, run(t.Context(), "..", nil, "go", "build", "-o", binary, what))
	return binary
}

// serve runs the built broker as a process and returns its address.
func serve(t *testing.T, binary string, more ...string) string {
	c := exec.Command(binary, append([]string{"serve", "--data", t.TempDir(), "--node", "n1", "--listen", "127.0.0.1:0", "--http="}, more...)...)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(t, c.Wait(), complaints.String())
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`listen=(\S+)`).FindStringSubmatch(line)
	require.Len(t, address, 2, "%q: %s", line, &complaints)
	return address[1]
}

// TestForeignClients runs the clients of docs/examples against the built
// broker, and their msgpack against the golden frames. A language that is not
// here, or whose package cannot be had, is NOT RUN, and said to be.
func TestForeignClients(t *testing.T) {
	address, ran := serve(t, build(t, "./cmd/troupe")), 0
	for _, f := range foreigners {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		command, env, err := f.prepare(ctx, t.TempDir())
		if err != nil {
			t.Logf("%s: NOT RUN: %v", f.name, err)
			continue
		}
		said, err := output(ctx, ".", env, command, f.folder+"/golden"+f.extension, "protocol/frames.json")
		require.NoError(t, err, f.name)
		require.Regexp(t, `^\d\d frames decoded and encoded again\n$`, said, f.name)
		t.Logf("%s: %s", f.name, said)
		said, err = output(ctx, ".", env, command, f.folder+"/example"+f.extension, address, strings.ToLower(f.name))
		require.NoError(t, err, f.name)
		require.Equal(t, "stored at 0\nfetched 100: booking 0 to booking 99\npushed 100\n", said, f.name)
		ran++
	}
	t.Logf("%d of %d languages ran", ran, len(foreigners))
}

// TestForeignClientsAreSmall holds them to what PROTOCOL.md is said to be
// enough for.
func TestForeignClientsAreSmall(t *testing.T) {
	for _, f := range foreigners {
		text, err := os.ReadFile(f.folder + "/troupe" + f.extension)
		require.NoError(t, err)
		require.Less(t, bytes.Count(text, []byte("\n")), 100, f.name)
	}
}

// TestNotRunIsSaid shows that a language that is missing is an error with a
// reason, not a pass.
func TestNotRunIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, f := range foreigners {
		_, _, err := f.prepare(t.Context(), t.TempDir())
		require.ErrorIs(t, err, exec.ErrNotFound, f.name)
	}
}
