package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// The sample file says each setting and its default, and means them.
func TestTheSampleFile(t *testing.T) {
	p, err := os.ReadFile("../../docs/troupe.yaml")
	require.NoError(t, err)
	got, err := loaded(t, string(p))
	require.NoError(t, err)
	want, err := loaded(t, "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	keys := map[string]bool{}
	for line := range strings.Lines(string(p)) {
		if key, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			keys[key] = true
		}
	}
	var c serveConfig
	f := pflag.NewFlagSet("", pflag.PanicOnError)
	c.flags(f)
	f.VisitAll(func(f *pflag.Flag) {
		require.True(t, keys[f.Name], "the sample has no %s", f.Name)
		delete(keys, f.Name)
	})
	require.Empty(t, keys)
}

// Help says of every setting what it does, in which unit, and its variable.
func TestHelpOfServe(t *testing.T) {
	help := command("", "serve", "--help").out
	c := newServe(streams{})
	c.Flags().VisitAll(func(f *pflag.Flag) {
		require.Contains(t, help, "--"+f.Name)
		require.Contains(t, help, "["+envName(f.Name)+"]")
		require.Greater(t, len(f.Usage), 30, f.Name)
	})
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]size{"1048576": 1 << 20, "256MiB": 256 << 20, "1GiB": 1 << 30, "64KiB": 64 << 10, "100": 100} {
		var s size
		require.NoError(t, s.Set(text))
		require.Equal(t, want, s)
		var again size
		require.NoError(t, again.Set(s.String()))
		require.Equal(t, s, again)
	}
	for _, wrong := range []string{"", "-1", "0", "big", "1MB", "1.5GiB"} {
		var s size
		require.Error(t, s.Set(wrong), wrong)
	}
}

// Limits that were set are kept at the door.
func TestLimitsOfServe(t *testing.T) {
	cfg, err := loaded(t, "connections-max: 1\nidle: 1h\nrequest-bytes: 16MiB\n", "--answer-bytes", "1GiB")
	require.NoError(t, err)
	s := metricsStage(t, cfg)
	m := scrapeOf(t, s.node)
	for limit, want := range map[string]float64{"connections": 1, "idle": 3600, "bytes_in_flight_all": 16 << 20, "answer_bytes": 1 << 30} {
		require.Equal(t, want, m.values[`troupe_gateway_limit{limit="`+limit+`"}`], limit)
	}
	first := s.client()
	require.NoError(t, first.Ping(t.Context()))
	r := s.try("", "topic", "list")
	require.ErrorContains(t, r.failed, "OVERLOADED: 1 connections: at most 1 are allowed")
	require.EqualValues(t, 1, scrapeOf(t, s.node).values[`troupe_gateway_limit_hits_total{limit="connections"}`])
}

func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	refused(t, 2, "--idle 0s: want more than 0s", "--data", dir, "--idle", "0s")
	refused(t, 2, "--connections-max -1: want 1 or more, or 0 for the default", "--data", dir, "--connections-max", "-1")
	refused(t, 2, "--credit-bytes 256MiB, --request-bytes 512MiB, --answer-bytes 1MiB: want 16MiB or more, for one frame must fit", "--data", dir, "--answer-bytes", "1MiB")
	refused(t, 2, "want a size such as 256MiB, 1GiB or 1048576", "--data", dir, "--answer-bytes", "much")
	for yaml, says := range map[string]string{
		"node: a\nanswer-bytes: much": "line 2: want a size such as 256MiB, 1GiB or 1048576",
		"idle: soon":                  "line 1: `soon`: want a time such as 500ms, 30s or 5m",
		"idle: 5":                     "line 1: `5`: want a time such as 500ms, 30s or 5m",
		"connections-max: many":       "line 1: `many`: want a number",
		"pprof: perhaps":              "line 1: `perhaps`: want true or false",
	} {
		_, err := loaded(t, yaml)
		require.Equal(t, 2, exitCode(err), "%s: %v", yaml, err)
		require.ErrorContains(t, err, says)
	}
	t.Setenv("TROUPE_IDLE", "soon")
	var c serveConfig
	cmd := &cobra.Command{}
	c.flags(cmd.Flags())
	require.ErrorContains(t, c.load(cmd, ""), "idle from TROUPE_IDLE: ")
}
