package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// loaded is what serve makes of a file.
func loaded(t *testing.T, yaml string, args ...string) (serveConfig, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "troupe.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	var c serveConfig
	cmd := &cobra.Command{}
	c.flags(cmd.Flags())
	require.NoError(t, cmd.ParseFlags(args))
	return c, c.load(cmd, file)
}

func TestAFileSaysWhatItSays(t *testing.T) {
	node := func(c serveConfig) string { return c.Node }
	data := func(c serveConfig) string { return c.Data }
	for _, c := range []struct {
		yaml string
		of   func(serveConfig) string
		want string
	}{
		{"node: 007", node, "007"},
		{"node: 1_000", node, "1_000"},
		{"node: 0x10", node, "0x10"},
		{"node: 1.50", node, "1.50"},
		{"node: 2026-01-31", node, "2026-01-31"},
		{"node: yes", node, "yes"},
		{"node: 'a b'", node, "a b"},
		{"log-level: &x debug\nnode: *x", node, "debug"},
		{"data:", data, "./data"},
		{"data: null", data, "./data"},
		{"data: ~", data, "./data"},
		{"data: \"\"", data, ""},
		{"data: 'null'", data, "null"},
		{"", data, "./data"},
	} {
		got, err := loaded(t, c.yaml)
		require.NoError(t, err, c.yaml)
		require.Equal(t, c.want, c.of(got), c.yaml)
	}
	got, err := loaded(t, "pprof: true")
	require.NoError(t, err)
	require.True(t, got.Pprof)
	for _, wrong := range []string{"nod: x", "node: [x]", "pprof: perhaps", "node: {a: b}", "node: a\nnode: b"} {
		_, err := loaded(t, wrong)
		require.Equal(t, 2, exitCode(err), "%s: %v", wrong, err)
	}
}

// An empty value is a value: HTTP is switched off by it, wherever it stands.
func TestHTTPIsSwitchedOffByAnEmptyValue(t *testing.T) {
	got, err := loaded(t, "http: \"\"")
	require.NoError(t, err)
	require.Empty(t, got.HTTP)
	t.Setenv("TROUPE_HTTP", "")
	got, err = loaded(t, "http: 127.0.0.1:1")
	require.NoError(t, err)
	require.Empty(t, got.HTTP, "the environment wins over the file")
	got, err = loaded(t, "", "--http", "127.0.0.1:2")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", got.HTTP)
	wrong{"serve --data=", 2, "--data is empty: give the data directory"}.check(t, "")
}
