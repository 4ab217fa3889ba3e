package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// meter collects what a bench measures. Several goroutines may tell it.
type meter struct {
	records, bytes atomic.Int64
	took           time.Duration // of the whole, when it is over
	bytesPerFsync  *float64

	mu      sync.Mutex
	errors  int64
	first   error
	latency *hdrhistogram.Histogram // µs; nil when this bench measures none
}

// latencyMax is where the histogram ends: an hour.
const latencyMax = time.Hour

func newMeter(latencies bool) *meter {
	m := &meter{}
	if latencies {
		m.latency = hdrhistogram.New(1, latencyMax.Microseconds(), 3)
	}
	return m
}

// answered counts what was answered, and how long that took.
func (m *meter) answered(took time.Duration, records, bytes int64, err error) {
	if err != nil {
		m.fail(err)
		return
	}
	m.records.Add(records)
	m.bytes.Add(bytes)
	m.observe(took)
}

// observe counts one latency.
func (m *meter) observe(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// It is within the histogram's bounds.
	_ = m.latency.RecordValue(max(1, min(took, latencyMax).Microseconds()))
}

func (m *meter) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors++
	if m.first == nil {
		m.first = err
	}
}

func (m *meter) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first != nil
}

// says is how it goes, for people.
func (m *meter) says() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := fmt.Sprintf("%s, %s MB", count(m.records.Load(), "record"), grouped(m.bytes.Load()/1e6))
	if m.latency != nil {
		text += fmt.Sprintf(", p99 %.3g ms", float64(m.latency.ValueAtQuantile(99))/1000)
	}
	return text
}

// benched is what was measured, as JSON shows it. Bytes are those of whole
// batches, as they are sent; an MB is a million bytes. Null is what was not
// measured.
type benched struct {
	Records       int64      `json:"records"`
	Bytes         int64      `json:"bytes"`
	Seconds       float64    `json:"seconds"`
	RecordsPerS   float64    `json:"records_per_s"`
	MBPerS        float64    `json:"mb_per_s"`
	BytesPerFsync *float64   `json:"bytes_per_fsync"`
	LatencyMS     *quantiles `json:"latency_ms"`
	Errors        int64      `json:"errors"`
}

// quantiles are in milliseconds.
type quantiles struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// result is what was measured. Nobody tells m any more.
func (m *meter) result() benched {
	s := m.took.Seconds()
	b := benched{Records: m.records.Load(), Bytes: m.bytes.Load(), Seconds: s, BytesPerFsync: m.bytesPerFsync, Errors: m.errors}
	if s > 0 {
		b.RecordsPerS, b.MBPerS = float64(b.Records)/s, float64(b.Bytes)/s/1e6
	}
	if m.latency != nil {
		ms := func(q float64) float64 { return float64(m.latency.ValueAtQuantile(q)) / 1000 }
		b.LatencyMS = &quantiles{ms(50), ms(95), ms(99), ms(99.9), float64(m.latency.Max()) / 1000}
	}
	return b
}

// print writes a table for people.
func (b benched) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "records\t%s\t%s/s\n", grouped(b.Records), grouped(int64(b.RecordsPerS)))
	fmt.Fprintf(w, "MB\t%.1f\t%.1f/s\n", float64(b.Bytes)/1e6, b.MBPerS)
	fmt.Fprintf(w, "seconds\t%.2f\n", b.Seconds)
	if b.BytesPerFsync != nil {
		fmt.Fprintf(w, "bytes per fsync\t%s\n", grouped(int64(*b.BytesPerFsync)))
	}
	if l := b.LatencyMS; l != nil {
		fmt.Fprintf(w, "latency in ms\tp50 %.3g\tp95 %.3g\tp99 %.3g\tp99.9 %.3g\tmax %.3g\n", l.P50, l.P95, l.P99, l.P999, l.Max)
	}
	fmt.Fprintf(w, "errors\t%s\n", grouped(b.Errors))
	return w.Flush()
}

// export writes the latencies, in ms, to --hgrm.
func (v *bench) export(m *meter) error {
	if v.hgrm == "" {
		return nil
	}
	if m.latency == nil {
		return fmt.Errorf("--hgrm %s: bench %s measures no latencies", v.hgrm, v.what)
	}
	f, err := os.Create(v.hgrm)
	if err != nil {
		return fmt.Errorf("--hgrm: %w", err)
	}
	w := bufio.NewWriter(f)
	_, err = m.latency.PercentilesPrint(w, 5, 1000)
	return errors.Join(err, w.Flush(), f.Close())
}
