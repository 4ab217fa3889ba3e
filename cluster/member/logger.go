package member

import (
	"log"
	"strings"
)

// told is what Serf and memberlist log through: warnings and errors go on, the
// rest is theirs. Without it they write to standard error.
type told struct {
	to func(event string, fields ...any)
}

func (c *Config) logger() *log.Logger { return log.New(told{c.Log}, "", 0) }

// Write implements io.Writer: one line.
func (t told) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	for _, level := range []string{"[WARN] ", "[ERR] ", "[ERROR] "} {
		if rest, ok := strings.CutPrefix(line, level); ok && !expected(rest) {
			t.to("gossip warns", "says", rest)
		}
	}
	return len(p), nil
}

// expected is what belongs to a stop.
func expected(line string) bool {
	return strings.Contains(line, "Shutdown without a Leave") || strings.Contains(line, "timeout while waiting for graceful leave") ||
		strings.Contains(line, "timeout waiting for leave broadcast") || strings.Contains(line, "use of closed network connection")
}
