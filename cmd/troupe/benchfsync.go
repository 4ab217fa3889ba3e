package main

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fsyncs are two counters of a broker's /metrics.
type fsyncs struct{ bytes, count float64 }

// metricsWithin is how long a bench waits for them.
const metricsWithin = time.Second

// fsyncs asks the broker; false when it cannot be reached, or is no broker.
func (v *bench) fsyncs() (f fsyncs, ok bool) {
	if v.http == "" {
		return f, false
	}
	c := http.Client{Timeout: metricsWithin, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + v.http + "/metrics")
	if err != nil {
		return f, false
	}
	defer func() { _ = r.Body.Close() }() // it was read
	found := 0
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "troupe_log_written_bytes_total":
			f.bytes = n
			found++
		case name == "troupe_log_fsync_duration_seconds_count":
			f.count = n
			found++
		}
	}
	return f, found == 2
}

// perFsync is how many bytes each fsync made durable since before; nil when
// that is not known.
func (v *bench) perFsync(before fsyncs, known bool) *float64 {
	after, ok := v.fsyncs()
	if !ok || !known || after.count <= before.count {
		return nil
	}
	n := (after.bytes - before.bytes) / (after.count - before.count)
	return &n
}
