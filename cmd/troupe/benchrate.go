package main

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"
)

// rate is how fast an open loop sends: records or bytes a second, or neither,
// which is a closed loop.
type rate struct{ records, bytes float64 }

func (r rate) open() bool { return r.records > 0 || r.bytes > 0 }

var rateUnits = map[string]float64{"KB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "KiB/s": 1 << 10, "MiB/s": 1 << 20, "GiB/s": 1 << 30}

// parseRate reads 5000, 5000/s, 5000 records/s or 50MB/s; empty is no rate.
func parseRate(s string) (rate, error) {
	if s == "" {
		return rate{}, nil
	}
	number := strings.TrimRight(s, "KMGiBrecords/ ")
	unit := strings.TrimSpace(s[len(number):])
	if !strings.HasSuffix(unit, "/s") && unit != "" {
		unit += "/s"
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) { // NaN too
		return rate{}, usagef("--rate %q: want records a second, such as 5000, or bytes, such as 50MB/s", s)
	}
	switch bytes := rateUnits[unit]; {
	case bytes > 0:
		return rate{bytes: n * bytes}, nil
	case unit == "", unit == "/s", unit == "records/s":
		return rate{records: n}, nil
	}
	return rate{}, usagef("--rate %q: want records a second, such as 5000, or bytes, such as 50MB/s", s)
}

// every is the time between batches of so many records and bytes.
func (r rate) every(records int32, bytes int) time.Duration {
	if r.records > 0 {
		return time.Duration(float64(records) / r.records * float64(time.Second))
	}
	return time.Duration(float64(bytes) / r.bytes * float64(time.Second))
}

// until waits for a moment; false when ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
