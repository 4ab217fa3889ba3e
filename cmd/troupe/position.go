package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// position is a place in a topic as people write it.
type position struct {
	kind   positionKind
	offset codec.Offset // of atOffset
	time   codec.Millis // of atTime
	text   string       // the flag and what was said
}

type positionKind int

const (
	atOldest positionKind = iota
	atNewest
	atOffset
	atTime
)

// parsePosition reads oldest, newest, offset:N, time:RFC3339 and -10m, which
// is so long before now.
func parsePosition(flag, s string, now time.Time) (position, error) {
	p := position{text: "--" + flag + " " + s}
	kind, value, _ := strings.Cut(s, ":")
	switch {
	case s == "oldest":
		p.kind = atOldest
		return p, nil
	case s == "newest":
		p.kind = atNewest
		return p, nil
	case kind == "offset":
		n, err := strconv.ParseInt(value, 10, 64)
		p.kind, p.offset = atOffset, codec.Offset(n)
		if err != nil || n < 0 {
			return p, usagef("%s: want a number from 0, such as offset:1000", p.text)
		}
		return p, nil
	case kind == "time":
		t, err := time.Parse(time.RFC3339, value)
		p.kind, p.time = atTime, millisFrom(t)
		if err != nil {
			return p, usagef("%s: want a time of RFC 3339, such as time:2026-01-31T15:04:05Z or time:2026-01-31T15:04:05+01:00", p.text)
		}
		return p, nil
	case strings.HasPrefix(s, "-"):
		d, ok := parseAgo(s[1:])
		p.kind, p.time = atTime, millisFrom(now.Add(-d))
		if !ok {
			return p, usagef("%s: want a time ago, such as -10m, -1h30m or -7d", p.text)
		}
		return p, nil
	}
	return p, usagef("%s: want oldest, newest, offset:N, time:T (such as time:2026-01-31T15:04:05Z) or a time ago such as -10m", p.text)
}

// parseAgo reads a duration of Go, or days.
func parseAgo(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

// millisFrom is the first millisecond at or after t.
func millisFrom(t time.Time) codec.Millis {
	return codec.Millis(t.Add(time.Millisecond - 1).UnixMilli())
}

// in is the offset of p in a partition that holds [oldest, newest). An offset
// outside of that is an error.
func (p position) in(ctx context.Context, c *client.Client, tp codec.TopicPartition, oldest, newest codec.Offset) (codec.Offset, error) {
	switch p.kind {
	case atOldest:
		return oldest, nil
	case atNewest:
		return newest, nil
	case atTime:
		offset, _, err := c.OffsetForTime(ctx, tp, p.time)
		return offset, err
	}
	if p.offset < oldest || p.offset > newest {
		return 0, codec.Errorf(codec.OffsetOutOfRange, "%s: %s holds the offsets [%d, %d); --partition chooses another", p.text, tp, oldest, newest)
	}
	return p.offset, nil
}
