package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// served is `troupe serve` while it runs.
type served struct {
	ready string // the line
	stop  func() error
}

func serving(t *testing.T, args ...string) served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"serve"}, args...), strings.NewReader(""), w, io.Discard)
		_ = w.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(<-done)
	}
	stop := func() error { cancel(); return <-done }
	return served{line, stop}
}

// field is what a field of the ready line says.
func (s served) field(name string) string {
	for _, f := range strings.Fields(s.ready) {
		if value, ok := strings.CutPrefix(f, name+"="); ok {
			return value
		}
	}
	return ""
}

func TestServeKeepsWhatItWasGiven(t *testing.T) {
	dir := t.TempDir()
	s := serving(t, "--data", dir, "--node", "first", "--listen", "127.0.0.1:0", "--http", "")
	require.Regexp(t, `^ready node=first listen=127\.0\.0\.1:\d+ cluster=[0-9a-f-]{36} topics=0 in \d+m?s\n$`, s.ready)
	log := accessLog(1000)
	require.NoError(t, command(log, "produce", "access", "--create", "--server", s.field("listen")).failed)
	require.NoError(t, s.stop())

	again := serving(t, "--data", dir, "--listen", "127.0.0.1:0", "--http", "")
	require.Equal(t, "first", again.field("node"), "the name is stored")
	require.Equal(t, s.field("cluster"), again.field("cluster"))
	require.Equal(t, "1", again.field("topics"))
	require.Equal(t, log, command("", "consume", "access", "--server", again.field("listen")).out)
	require.NoError(t, again.stop())

	r := command("", "log", "verify", dir, "-o", "json")
	require.NoError(t, r.failed)
	require.Contains(t, r.out, `"records":1000,`)
	require.Contains(t, command("", "log", "dump", dir).out, `"kind":"batch"`)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
	return r.StatusCode, string(body)
}

func TestHealth(t *testing.T) {
	h, err := startHealth("127.0.0.1:0", http.NotFoundHandler(), false, nil)
	require.NoError(t, err)
	at := "http://" + h.address.String()
	ask := func(path string, code int, says string) {
		t.Helper()
		gotCode, got := get(t, at+path)
		require.Equal(t, code, gotCode)
		require.Equal(t, says+"\n", got)
	}
	ask("/healthz", 200, "ok")
	ask("/readyz", 503, "the broker is starting")
	h.serve(newStage(t).node.broker.Ready)
	ask("/readyz", 200, "ready")
	h.drain()
	ask("/readyz", 503, "the broker is stopping")
	ask("/healthz", 200, "ok")
	require.NoError(t, h.close(context.Background()))
}

// A profile that runs neither holds up the stop nor makes it fail.
func TestAProfileDoesNotHoldUpTheStop(t *testing.T) {
	h, err := startHealth("127.0.0.1:0", http.NotFoundHandler(), true, nil)
	require.NoError(t, err)
	at := "http://" + h.address.String() + "/debug/pprof/"
	asked := make(chan error, 1)
	go func() {
		r, err := http.Get(at + "profile?seconds=60")
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
		asked <- err
	}()
	for running := false; !running; { // until it profiles
		_, stacks := get(t, at+"goroutine?debug=2")
		running = strings.Contains(stacks, "net/http/pprof.Profile")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(t, h.close(ctx))
	require.NoError(t, ctx.Err())
	require.Error(t, <-asked, "it was cut off")
}

// A flag wins over the environment, that over the file, that over the default.
func TestSettingsOfServe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "troupe.yaml")
	require.NoError(t, os.WriteFile(file, []byte("node: of-the-file\nlisten: 127.0.0.1:0\nhttp: 127.0.0.1:0\nlog-level: error\n"), 0o600))
	for i, c := range []struct{ flag, env, want string }{
		{"", "", "of-the-file"},
		{"", "of-the-environment", "of-the-environment"},
		{"of-the-flag", "of-the-environment", "of-the-flag"},
	} {
		t.Setenv("TROUPE_NODE", c.env) // and back, at the end
		if c.env == "" {
			require.NoError(t, os.Unsetenv("TROUPE_NODE"))
		}
		args := []string{"--config", file, "--data", filepath.Join(dir, c.want)}
		if c.flag != "" {
			args = append(args, "--node", c.flag)
		}
		s := serving(t, args...)
		require.Equal(t, c.want, s.field("node"), "case %d", i)
		require.NoError(t, s.stop())
	}
}
