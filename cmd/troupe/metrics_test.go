package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// scraped is a page of /metrics: values by name and labels, as they stand
// there, and what is said of each family.
type scraped struct {
	text       string
	values     map[string]float64
	help, kind map[string]string
}

func scrapeOf(t *testing.T, n *node) scraped {
	t.Helper()
	code, r := get(t, "http://"+n.http.address.String()+"/metrics")
	require.Equal(t, 200, code)
	s := scraped{r, map[string]float64{}, map[string]string{}, map[string]string{}}
	for line := range strings.Lines(r) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			s.help[name] = help
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			s.kind[name] = kind
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[at+1:], 64)
		require.NoError(t, err, line)
		s.values[line[:at]] = v
	}
	return s
}

// series are the ones of a family, with their labels.
func (s scraped) series(name string) (all []string) {
	for series := range s.values {
		if bare, _, _ := strings.Cut(series, "{"); bare == name {
			all = append(all, series)
		}
	}
	return all
}

// metricsStage is a stage with an HTTP side.
func metricsStage(t *testing.T, cfg serveConfig) *stage {
	t.Helper()
	cfg.Data, cfg.Node, cfg.Listen, cfg.HTTP = t.TempDir(), "n1", "127.0.0.1:0", "127.0.0.1:0"
	n, err := startNode(context.Background(), cfg, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.stop()) })
	return &stage{T: t, node: n, dir: cfg.Data, address: n.listen.String()}
}

func TestMetricsAddUp(t *testing.T) {
	s := metricsStage(t, serveConfig{})
	s.do("", "topic", "create", "b", "--partitions", "3")
	before := scrapeOf(t, s.node)
	require.Zero(t, before.values[`troupe_topic_produced_records_total{topic="b"}`])
	log := accessLog(1000)
	s.do(log, "produce", "a", "--create")
	s.do(log, "produce", "b", "--partition", "2")
	require.Equal(t, log, s.do("", "consume", "a"))
	for _, topic := range []string{"a", "b"} {
		d := fromJSON[describedTopic](t, s.do("", "topic", "describe", topic, "-o", "json"))[0]
		var size int64
		for _, p := range d.Partitions {
			size += p.Bytes
		}
		m := scrapeOf(t, s.node)
		of := func(name string) float64 { return m.values[fmt.Sprintf("troupe_%s{topic=%q}", name, topic)] }
		require.EqualValues(t, 1000, of("topic_produced_records_total"))
		require.EqualValues(t, size, of("topic_produced_bytes_total"))
		require.EqualValues(t, size, of("log_size_bytes"))
		require.EqualValues(t, len(d.Partitions), of("topic_partitions"))
		require.Positive(t, of("topic_produced_batches_total"))
	}
	for scrapeOf(t, s.node).values["troupe_gateway_connections"] > 0 {
	} // until they have all hung up
	m := scrapeOf(t, s.node)
	require.EqualValues(t, 1000, m.values[`troupe_topic_fetched_records_total{topic="a"}`])
	require.Equal(t, m.values[`troupe_topic_produced_bytes_total{topic="a"}`], m.values[`troupe_topic_fetched_bytes_total{topic="a"}`])
	require.Zero(t, m.values[`troupe_topic_fetched_records_total{topic="b"}`])
	for name, want := range map[string]float64{
		"troupe_broker_ready": 1, "troupe_partition_leaders": 4, "troupe_partition_offline": 0, "troupe_partition_under_replicated": 0, "troupe_partition_quarantined": 0,
		`troupe_partition_refusing{code="DISK_FULL"}`: 0, `troupe_partition_refusing{code="CORRUPT_LOG"}`: 0, "troupe_raft_leader_changes_total": 5,
		"troupe_credit_used_bytes": 0, "troupe_credit_limit_bytes": 256 << 20, "troupe_disk_refusing": 0, "troupe_actor_restarts_total": 0, "troupe_log_fsync_failures_total": 0,
		"troupe_log_recovery_cuts_total": 0, `troupe_gateway_limit{limit="connections"}`: float64(connectionsMax()),
		"troupe_gateway_connections": 0, `troupe_gateway_limit_hits_total{limit="connections"}`: 0, `troupe_gateway_limit{limit="frame_max"}`: 8 << 20, `troupe_gateway_limit{limit="idle"}`: 300,
		`troupe_gateway_throttles_total{limit="answer_bytes"}`: 0, "troupe_gateway_requests_in_flight": 0, `troupe_request_errors_total{api="describe_topic",code="UNKNOWN_TOPIC"}`: 1,
	} {
		got, there := m.values[name]
		require.True(t, there, name)
		require.Equal(t, want, got, name)
	}
	batches := m.values[`troupe_topic_produced_batches_total{topic="a"}`] + m.values[`troupe_topic_produced_batches_total{topic="b"}`]
	require.Equal(t, batches, m.values[`troupe_requests_total{api="produce"}`], "each batch was a request")
	require.Equal(t, batches, m.values[`troupe_request_duration_seconds_count{api="produce"}`])
	require.Equal(t, m.values["troupe_gateway_connections_total"], m.values[`troupe_gateway_connections_closed_total{reason="client"}`])
	require.Equal(t, m.values["troupe_gateway_connections_total"], m.values[`troupe_requests_total{api="hello"}`])
	require.Greater(t, m.values["troupe_gateway_received_bytes_total"], float64(2*len(log)))
	require.Greater(t, m.values["troupe_gateway_sent_bytes_total"], float64(len(log)))
	produced := m.values[`troupe_topic_produced_bytes_total{topic="a"}`] + m.values[`troupe_topic_produced_bytes_total{topic="b"}`]
	require.GreaterOrEqual(t, m.values["troupe_log_written_bytes_total"]-before.values["troupe_log_written_bytes_total"], produced)
	require.Greater(t, m.values["troupe_log_fsync_duration_seconds_count"], before.values["troupe_log_fsync_duration_seconds_count"])
	require.Equal(t, m.values["troupe_log_fsync_duration_seconds_count"], m.values[`troupe_log_fsync_duration_seconds_bucket{le="+Inf"}`])
	require.Positive(t, m.values["troupe_log_fsync_duration_seconds_sum"])
	require.Positive(t, m.values["go_goroutines"])
	require.Positive(t, m.values["process_resident_memory_bytes"])

	s.do("", "topic", "delete", "b")
	m = scrapeOf(t, s.node)
	require.NotContains(t, m.text, `topic="b"`, "a topic that is not there has no series")
	require.EqualValues(t, 1, m.values["troupe_partition_leaders"])
}

// Labels take few values: as many series as topics, and nothing of a
// partition, a client or a record unless it was asked for.
func TestMetricsAreFew(t *testing.T) {
	few, many := metricsStage(t, serveConfig{}), metricsStage(t, serveConfig{MetricsPartitions: true})
	for _, s := range []*stage{few, many} {
		s.do("", "topic", "create", "wide", "--partitions", "50")
		s.do("one\n", "produce", "t", "--create")
	}
	m := scrapeOf(t, few.node)
	ours := 0
	for series := range m.values {
		if strings.HasPrefix(series, "troupe_") {
			ours++
		}
		require.NotContains(t, series, `partition="`)
	}
	require.Less(t, ours, 250, "and a histogram is 18 of them, for each operation that was asked for")
	all := scrapeOf(t, many.node)
	require.Len(t, all.series("troupe_partition_produced_records_total"), 51)
	require.EqualValues(t, 1, all.values[`troupe_partition_produced_records_total{partition="0",topic="t"}`])
	require.Len(t, all.values, len(m.values)+4*51)
}

// What is exported is what the table says, in Prometheus' own style.
func TestMetricsAreAsDescribed(t *testing.T) {
	s := metricsStage(t, serveConfig{MetricsPartitions: true})
	s.do("one\n", "produce", "t", "--create") // an UNKNOWN_TOPIC on its way
	m := scrapeOf(t, s.node)
	problems, err := promlint.New(bytes.NewReader([]byte(m.text))).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "troupe_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	known := map[string]bool{}
	for _, f := range families {
		name := "troupe_" + f.name
		known[name] = true
		require.Equal(t, f.kind, m.kind[name], name)
		require.Equal(t, f.help, m.help[name], name)
		suffix := map[string]string{histogram: "_count"}[f.kind]
		require.NotEmpty(t, m.series(name+suffix), "%s is never shown", name)
		for _, series := range m.series(name + suffix) {
			for _, l := range f.labels {
				require.Contains(t, series, l+`="`)
			}
			require.Equal(t, len(f.labels), strings.Count(series, `="`), series)
		}
	}
	for name := range m.kind {
		require.True(t, known[name] || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_"), "%s is not in the table", name)
	}
	r := prometheus.NewPedanticRegistry()
	shown := newMetrics(s.node.metrics.begun, true, newLogCounts())
	shown.node.Store(s.node)
	require.NoError(t, r.Register(shown))
	_, err = r.Gather()
	require.NoError(t, err, "the library's own checks")
}

// docs/OPERATIONS.md has the table of families, word for word. Run with
// TROUPE_REWRITE=1 to write it there.
func TestOperationsListsTheMetrics(t *testing.T) {
	const page = "../../docs/OPERATIONS.md"
	const head = "| metric (`troupe_…`) | type | labels | says |\n|---|---|---|---|\n"
	var want strings.Builder
	want.WriteString(head)
	for _, f := range families {
		labels := strings.Join(f.labels, ", ")
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, f.help)
	}
	p, err := os.ReadFile(page)
	require.NoError(t, err)
	table := regexp.MustCompile(regexp.QuoteMeta(head) + `(\|.*\n)*`)
	if os.Getenv("TROUPE_REWRITE") != "" {
		require.NoError(t, os.WriteFile(page, table.ReplaceAllLiteral(p, []byte(want.String())), 0o644))
		return
	}
	require.Equal(t, want.String(), string(table.Find(p)), "write it again with: TROUPE_REWRITE=1 go test -run TestOperationsListsTheMetrics ./cmd/troupe")
	for _, m := range regexp.MustCompile("`troupe_([a-z_]+)[`{]").FindAllStringSubmatch(string(p), -1) {
		name := strings.TrimSuffix(strings.TrimSuffix(m[1], "_count"), "_bucket")
		found := false
		for _, f := range families {
			found = found || f.name == name
		}
		require.True(t, found, "the page speaks of troupe_%s, and there is none", m[1])
	}
}

// A broker that starts, or cannot, shows what there is.
func TestMetricsBeforeTheStart(t *testing.T) {
	shown := newMetrics(time.Now(), false, newLogCounts())
	h, err := startHealth("127.0.0.1:0", shown.handler(), false, nil)
	require.NoError(t, err)
	m := scrapeOf(t, &node{http: h})
	require.Zero(t, m.values["troupe_broker_ready"])
	require.Contains(t, m.text, "troupe_build_info{")
	require.NoError(t, h.close(context.Background()))
}

// damage writes over records of the only topic.
func damage(t testing.TB, dir string) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "g2-*", "seg", "*"))
	require.NoError(t, err)
	require.Len(t, segments, 1)
	f, err := os.OpenFile(segments[0], os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("rot"), 62)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// A replica that is quarantined can be alerted on.
func TestMetricsOfAQuarantinedReplica(t *testing.T) {
	s := metricsStage(t, serveConfig{})
	s.do("one\n", "produce", "t", "--create")
	damage(t, s.dir)
	r := s.try("", "consume", "t")
	require.Error(t, r.failed)
	for scrapeOf(t, s.node).values["troupe_partition_quarantined"] == 0 {
	} // the reader's word for it is on its way
	m := scrapeOf(t, s.node)
	require.EqualValues(t, 1, m.values["troupe_partition_offline"])
	require.EqualValues(t, 1, m.values["troupe_partition_under_replicated"])
	require.EqualValues(t, 1, m.values[fmt.Sprintf("troupe_partition_refusing{code=%q}", codec.CorruptLog)])
	require.EqualValues(t, 1, m.values[`troupe_logged_messages_total{level="error"}`])
}
