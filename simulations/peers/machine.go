package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// machine says what was measured on, without a name that leads to it.
type machine struct {
	CPU    string
	Cores  int
	Memory string
	Kernel string
	Disk   string // kind of file system and its options
	Go     string
	Steal  float64 // share of the time that a hypervisor kept
}

func thisMachine(dir string) (m machine) {
	m.Cores, m.Go = runtime.NumCPU(), runtime.Version()
	m.CPU = field("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseFloat(strings.Fields(field("/proc/meminfo", "MemTotal") + " 0")[0], 64); err == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", kib/(1<<20))
	}
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		for _, c := range u.Release {
			if c == '-' || c == 0 {
				break // what follows is the builder's
			}
			m.Kernel += string(rune(c))
		}
	}
	m.Disk = mountOf(dir)
	return m
}

func field(file, name string) string {
	p, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(p)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// mountOf is the file system that dir lies on: the longest mount point that it
// begins with.
func mountOf(dir string) (kind string) {
	p, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "unknown"
	}
	longest := -1
	for line := range strings.Lines(string(p)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(dir+"/", strings.TrimSuffix(f[1], "/")+"/") || len(f[1]) < longest {
			continue
		}
		longest, kind = len(f[1]), f[2]
		if f[2] == "ext4" && !hasJournal() {
			kind += " without a journal"
		}
	}
	return kind
}

// hasJournal says whether some ext4 has a journal: each has a thread for it.
func hasJournal() bool {
	names, err := os.ReadDir("/proc/fs/jbd2")
	return err == nil && len(names) > 0
}

// ticks are the processors' times since the machine started: all, and stolen.
func ticks() (all, steal float64) {
	p, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(p), "\n")
	for i, f := range strings.Fields(line)[1:] {
		v, _ := strconv.ParseFloat(f, 64)
		if i < 8 { // the rest is counted among these
			all += v
		}
		if i == 7 {
			steal = v
		}
	}
	return all, steal
}
