package main

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// logCounts counts what is logged, and keeps what comes over and over from
// filling a disk: of messages with the same text about the same partition,
// some are let through in each period. It counts as a logrus.Hook.
type logCounts struct {
	counts     [logrus.TraceLevel + 1]atomic.Int64
	suppressed atomic.Int64

	mu     sync.Mutex
	recent map[repeated]*repetition
}

// repeated is what makes two messages the same.
type repeated struct {
	level              slog.Level
	message, partition string
}

type repetition struct {
	since time.Time
	told  int
	left  int // out, since the last that was told
}

const (
	repeatEvery = 10 * time.Second // a period
	repeatMax   = 10               // told in it
	repeatKinds = 4096             // kept; beyond them all begin anew
)

func newLogCounts() *logCounts { return &logCounts{recent: map[repeated]*repetition{}} }

// Levels implements logrus.Hook.
func (c *logCounts) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (c *logCounts) Fire(e *logrus.Entry) error {
	c.counts[e.Level].Add(1)
	return nil
}

// levels is how many were logged, by the name of their level.
func (c *logCounts) levels() map[string]int64 {
	all := map[string]int64{}
	for _, l := range []logrus.Level{logrus.ErrorLevel, logrus.WarnLevel, logrus.InfoLevel, logrus.DebugLevel} {
		all[l.String()] = c.counts[l].Load()
	}
	return all
}

// admit says whether a message is told at now, and how many like it were left
// out since the last that was.
func (c *logCounts) admit(now time.Time, k repeated) (told bool, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.recent[k]
	if r == nil {
		if len(c.recent) >= repeatKinds {
			clear(c.recent)
		}
		r = &repetition{since: now}
		c.recent[k] = r
	}
	if now.Sub(r.since) >= repeatEvery {
		r.since, r.told = now, 0
	}
	if r.told >= repeatMax {
		r.left++
		c.suppressed.Add(1)
		return false, 0
	}
	r.told++
	left, r.left = r.left, 0
	return true, left
}
