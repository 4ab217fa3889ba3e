package main

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what /metrics shows. It keeps no figures: at each scrape it asks
// the rooms, whose counters are plain numbers.
type metrics struct {
	begun      time.Time
	partitions bool // series of single partitions too
	log        *logCounts
	node       atomic.Pointer[node] // nil until it has started
	families   map[string]describedFamily
}

type describedFamily struct {
	family
	desc *prometheus.Desc
}

func newMetrics(begun time.Time, partitions bool, log *logCounts) *metrics {
	m := &metrics{begun: begun, partitions: partitions, log: log, families: make(map[string]describedFamily, len(families))}
	for _, f := range families {
		m.families[f.name] = describedFamily{f, prometheus.NewDesc("troupe_"+f.name, f.help, f.labels, nil)}
	}
	return m
}

// scrapesAtOnce bounds what scrapers can make a broker do.
const scrapesAtOnce = 4

// handler serves m, with what Go and the operating system say of the process.
func (m *metrics) handler() http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, f := range m.families {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	s := scrape{m, to}
	b := thisBuild()
	s.put("build_info", 1, b.Version, b.Commit, b.Go)
	s.put("broker_uptime_seconds", time.Since(m.begun).Seconds())
	for level, n := range m.log.levels() {
		s.put("logged_messages_total", float64(n), level)
	}
	s.put("logged_messages_suppressed_total", float64(m.log.suppressed.Load()))
	n := m.node.Load()
	if n == nil {
		s.put("broker_ready", 0)
		return
	}
	s.put("broker_ready", truth(n.broker.Ready() == nil))
	s.put("broker_info", 1, string(n.identity.Node), n.identity.Cluster.String())
	s.broker(n.broker.Stats())
	s.gateway(n.gateway.Stats(), n.limits.WithDefaults())
}

// scrape is one Collect at work.
type scrape struct {
	*metrics
	to chan<- prometheus.Metric
}

// put sends one value of a family, which must be of families.
func (s scrape) put(name string, value float64, labels ...string) {
	f, ok := s.families[name]
	if !ok {
		panic("metrics: there is no family " + name)
	}
	kind := prometheus.GaugeValue
	if f.kind == counter {
		kind = prometheus.CounterValue
	}
	s.to <- prometheus.MustNewConstMetric(f.desc, kind, value, labels...)
}

// observed sends a histogram of durations, in seconds. There is a count for
// each bound, of what lies between it and the bound before, and one for the
// rest.
func (s scrape) observed(name string, bounds []time.Duration, counts []uint64, sum time.Duration, labels ...string) {
	buckets := make(map[float64]uint64, len(bounds))
	var n uint64
	for i, bound := range bounds {
		n += counts[i]
		buckets[bound.Seconds()] = n
	}
	n += counts[len(bounds)]
	s.to <- prometheus.MustNewConstHistogram(s.families[name].desc, n, sum.Seconds(), buckets, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
