package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// step is one command of a page, and what the page says that it prints.
type step struct {
	command string
	prints  []string
}

// stepsOf reads the commands of a section: indented lines that begin with $.
func stepsOf(t *testing.T, page, heading string) (all []step) {
	t.Helper()
	p, err := os.ReadFile(page)
	require.NoError(t, err)
	_, section, found := strings.Cut(string(p), "\n## "+heading+"\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		text, indented := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    ")
		if command, ok := strings.CutPrefix(text, "$ "); ok && indented {
			all = append(all, step{command: command})
		} else if indented {
			require.NotEmpty(t, all)
			all[len(all)-1].prints = append(all[len(all)-1].prints, text)
		}
	}
	return all
}

// like makes a line of a page a pattern: numbers, names and times differ from
// run to run, and so do the contents of records.
func like(line string) string {
	return "^" + differs.ReplaceAllStringFunc(regexp.QuoteMeta(line), func(part string) string {
		switch {
		case strings.HasPrefix(part, `"value"`):
			return `"value":".*","headers"`
		case strings.HasPrefix(part, "node="):
			return `node=\S+`
		case strings.Contains(part, "-"):
			return `[0-9a-f-]{36}`
		case strings.HasSuffix(part, "s"):
			return `[\d.]+(ms|µs|s)`
		}
		return `[\d,]+`
	}) + "$"
}

// differs finds the value of a record, a name, a UUID, a duration or a number.
var differs = regexp.MustCompile(`"value":".*?","headers"|node=\w+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+(\\\.\d+)?(ms|µs|s)\b|\d+(,\d{3})*`)

// newcomer is somebody in the clone, who has built it.
type newcomer struct {
	*testing.T
	dir string
	env []string
}

func (n newcomer) shell(command string) *exec.Cmd {
	c := exec.Command("sh", "-c", command)
	c.Dir, c.Env = n.dir, n.env
	return c
}

func (n newcomer) check(s step, got []string) {
	n.Helper()
	require.Len(n, got, len(s.prints), "%s prints %q", s.command, got)
	for i := range got {
		require.Regexp(n, like(s.prints[i]), got[i], s.command)
	}
}

// serve runs the command that stays, up to its first line of results.
func (n newcomer) serve(s step) *exec.Cmd {
	n.Helper()
	c := n.shell("exec " + strings.TrimSuffix(s.command, "&"))
	out, err := c.StdoutPipe()
	require.NoError(n, err)
	require.NoError(n, c.Start())
	n.Cleanup(func() {
		require.NoError(n, c.Process.Signal(syscall.SIGTERM))
		require.NoError(n, c.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(n, err)
	n.check(s, []string{strings.TrimSuffix(line, "\n")})
	return c
}

// What the README says of the second minute is what a newcomer sees, with the
// binary that is built, and with a file of their own.
func TestTheSecondMinute(t *testing.T) {
	n := newcomer{T: t, dir: t.TempDir()}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(n.dir, "bin", "troupe"), ".")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.NoError(t, os.WriteFile(filepath.Join(n.dir, "access.log"), []byte(accessLog(10_000)), 0o600))
	listen, http := closedPort(t), closedPort(t) // for the usual ones may be taken
	n.env = append(os.Environ(), "TROUPE_LISTEN="+listen, "TROUPE_SERVER="+listen, "TROUPE_HTTP="+http, "TROUPE_LOG_LEVEL=error")

	steps := stepsOf(t, "../../README.md", "Second minute")
	require.GreaterOrEqual(t, len(steps), 4)
	for _, s := range steps {
		if strings.HasSuffix(s.command, "&") {
			n.serve(s)
			continue
		}
		var out bytes.Buffer
		c := n.shell(s.command)
		c.Stdout, c.Stderr = &out, &out
		require.NoError(t, c.Run(), "%s: %s", s.command, &out)
		n.check(s, strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' }))
	}
}
