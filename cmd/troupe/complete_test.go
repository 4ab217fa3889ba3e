package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
)

// tab is what a shell is offered for the last of args, and whether names of
// files are among it.
func (s *stage) tab(args ...string) (offers []string, files bool) {
	s.Helper()
	s.Setenv("TROUPE_SERVER", s.address)
	r := command("", append([]string{"__complete"}, args...)...)
	require.NoError(s, r.failed)
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	directive := lines[len(lines)-1]
	require.Contains(s, directive, ":")
	for _, l := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(l, "\t")
		offers = append(offers, word)
	}
	return offers, directive == ":0"
}

func TestCompletion(t *testing.T) {
	s := newStage(t)
	s.do("", "topic", "create", "bookings", "--partitions", "3")
	s.do("one\ntwo\n", "produce", "access", "--create")
	s.do("", "topic", "trim", "access", "--before", "offset:1")
	topics := []string{"access", "bookings"}
	for _, c := range []struct {
		line string // the last word is being written; _ is an empty one
		want []string
	}{
		{"produce _", topics},
		{"consume _", topics},
		{"topic describe _", topics},
		{"topic alter _", topics},
		{"topic trim _", topics},
		{"topic delete _", topics},
		{"topic delete access _", nil},
		{"topic create _", nil},
		{"topic list _", nil},
		{"bench produce --topic _", topics},
		{"produce bookings --partition _", []string{"0", "1", "2"}},
		{"topic trim access --partition _", []string{"0"}},
		{"consume nope --partition _", nil},
		{"consume access --from _", []string{"oldest", "newest", "-10m", "-1h", "-1d", "offset:", "time:"}},
		{"consume access --from offset:", []string{"offset:1", "offset:2"}},
		{"consume access --to offset:", []string{"offset:1", "offset:2"}},
		{"topic trim access --before offset:", []string{"offset:1", "offset:2"}},
		{"consume access -o _", []string{"text", "json"}},
		{"consume access --format _", nil},
		{"topic create x --set _", []string{"cleanup=", "durability=", "message.bytes.max=", "retention.bytes=", "retention.time=", "segment.bytes="}},
		{"topic create x --set durability=", []string{"durability=fsync", "durability=os"}},
		{"topic alter access --set colour=", nil},
		{"bench produce --compression _", []string{"none", "gzip", "snappy", "lz4", "zstd"}},
		{"serve --log-level _", []string{"error", "warn", "info", "debug", "trace"}},
		{"serve --node _", nil},
		{"completion _", []string{"bash", "fish", "powershell", "zsh"}},
	} {
		args := strings.Fields(c.line)
		if last := len(args) - 1; args[last] == "_" {
			args[last] = ""
		}
		got, files := s.tab(args...)
		require.Equal(t, c.want, got, c.line)
		require.False(t, files, c.line)
	}
	all, files := s.tab("consume", "access", "--from", "time:")
	require.False(t, files)
	require.Len(t, all, 3)
	for _, at := range all {
		_, err := parsePosition("from", at, time.Now())
		require.NoError(t, err)
	}
	_, files = s.tab("serve", "--config", "")
	require.True(t, files)
	_, files = s.tab("bench", "produce", "--hgrm", "")
	require.True(t, files)
	s.address = closedPort(t)
	all, files = s.tab("consume", "")
	require.Empty(t, all, "no broker, no offers, no error")
	require.False(t, files)
}

// What is offered is allowed.
func TestSettingsThatAreOffered(t *testing.T) {
	require.Equal(t, sortedKeys(cluster.DefaultSettings().Map()), sortedKeys(settingValues))
	for key, values := range settingValues {
		for _, v := range values {
			_, err := cluster.DefaultSettings().With(map[string]string{key: v})
			require.NoError(t, err)
		}
	}
}

func TestScriptsForShells(t *testing.T) {
	for shell, has := range map[string]string{"bash": "__start_troupe", "zsh": "#compdef troupe", "fish": "complete -c troupe", "powershell": "Register-ArgumentCompleter"} {
		r := command("", "completion", shell)
		require.NoError(t, r.failed)
		require.Contains(t, r.out, has)
	}
}

func TestSimilarNames(t *testing.T) {
	names := []string{"access", "access-2015", "bookings", "Alerts", "x"}
	for wrote, want := range map[string][]string{
		"acces": {"access", "access-2015"}, "acecss": {"access"}, "ACCESS": {"access", "access-2015"}, "booking": {"bookings"}, "alert": {"Alerts"},
		"bookings-eu": {"bookings"}, "y": {"x"}, "payments": nil, "": {"x"},
	} {
		require.Equal(t, want, similar(wrote, names), wrote)
	}
	require.Equal(t, []string{"", "a", "a or b", "a, b or c"}, []string{orList(nil), orList([]string{"a"}), orList([]string{"a", "b"}), orList([]string{"a", "b", "c"})})
}
