package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process holds of the machine.
type Usage struct {
	Resident    int64         // bytes (VmRSS)
	Peak        int64         // the most of them so far (VmHWM)
	CPU         time.Duration // user and system, since it began
	Threads     int
	Descriptors int
}

// ticks is how /proc counts CPU time on every Linux: USER_HZ.
const ticks = time.Second / 100

// ReadUsage asks /proc about a process.
func ReadUsage(pid int) (u Usage, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, fmt.Errorf("usage of process %d: %w", pid, err)
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, fmt.Errorf("usage of process %d: %w", pid, err)
	}
	open, err := os.ReadDir(dir + "fd")
	if err != nil {
		return u, fmt.Errorf("usage of process %d: %w", pid, err)
	}
	u.Descriptors = len(open)
	for line := range strings.SplitSeq(string(status), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "VmRSS:":
			u.Resident = number(f[1]) << 10
		case f[0] == "VmHWM:":
			u.Peak = number(f[1]) << 10
		case f[0] == "Threads:":
			u.Threads = int(number(f[1]))
		}
	}
	u.CPU, err = cpuOf(string(stat))
	return u, err
}

// cpuOf reads /proc/PID/stat: fields 14 and 15, counted behind the name in
// brackets, which may hold anything.
func cpuOf(stat string) (time.Duration, error) {
	_, rest, found := strings.Cut(stat[max(0, strings.LastIndexByte(stat, ')')):], ") ")
	f := strings.Fields(rest)
	if !found || len(f) < 13 {
		return 0, fmt.Errorf("usage of a process: stat reads %q", stat)
	}
	return time.Duration(number(f[11])+number(f[12])) * ticks, nil
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("chaos: the kernel wrote " + s + " for a number")
	}
	return n
}
