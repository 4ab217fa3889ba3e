package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has taken so far.
type usage struct {
	cpu time.Duration
	rss int64 // bytes, at its most
}

const clockTick = 10 * time.Millisecond // of /proc, USER_HZ is 100 everywhere

// usageOf reads /proc; zero for no process.
func usageOf(pid int) usage {
	if pid == 0 {
		return usage{}
	}
	p, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}
	}
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(p[strings.LastIndexByte(string(p), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return usage{time.Duration(user+system) * clockTick, peakOf(pid)}
}

// peakOf is the most memory that a process had, resident.
func peakOf(pid int) int64 {
	p, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(p), "VmHWM:")
	kib, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return kib << 10
}

// counted is what a server counts by itself.
type counted struct {
	Fsyncs      float64
	FsyncBytes  float64
	AllocBytes  float64
	FsyncMillis float64
}

func (c counted) since(was counted) counted {
	return counted{c.Fsyncs - was.Fsyncs, c.FsyncBytes - was.FsyncBytes, c.AllocBytes - was.AllocBytes, c.FsyncMillis - was.FsyncMillis}
}

// count reads a server's metrics; zeros when it has none.
func count(url string) (c counted) {
	if url == "" {
		return c
	}
	r, err := http.Get(url)
	if err != nil {
		return c
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, _ := strconv.ParseFloat(value, 64)
		name, _, _ = strings.Cut(name, "{")
		switch name {
		case "troupe_log_fsync_duration_seconds_count":
			c.Fsyncs += v
		case "troupe_log_fsync_duration_seconds_sum":
			c.FsyncMillis += v * 1e3
		case "troupe_log_written_bytes_total":
			c.FsyncBytes += v
		case "go_memstats_alloc_bytes_total":
			c.AllocBytes += v
		}
	}
	return c
}
