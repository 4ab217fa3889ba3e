package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestPositions(t *testing.T) {
	now := time.UnixMilli(1_000_000_000_000)
	for _, c := range []struct {
		says string
		want position
	}{
		{"oldest", position{kind: atOldest}},
		{"newest", position{kind: atNewest}},
		{"offset:0", position{kind: atOffset}},
		{"offset:9223372036854775807", position{kind: atOffset, offset: 1<<63 - 1}},
		{"time:1970-01-01T00:00:01Z", position{kind: atTime, time: 1000}},
		{"time:1970-01-01T00:00:01.0001Z", position{kind: atTime, time: 1001}},
		{"time:1969-12-31T23:59:59Z", position{kind: atTime, time: -1000}},
		{"-10m", position{kind: atTime, time: 999_999_400_000}},
		{"-1h30m", position{kind: atTime, time: 999_994_600_000}},
		{"-7d", position{kind: atTime, time: codec.Millis(1_000_000_000_000 - 7*24*3_600_000)}},
	} {
		got, err := parsePosition("from", c.says, now)
		require.NoError(t, err, c.says)
		c.want.text = "--from " + c.says
		require.Equal(t, c.want, got)
	}
	for says, want := range map[string]string{
		"":                           "want oldest, newest, offset:N, time:T",
		"yesterday":                  "--from yesterday: want oldest, newest, offset:N, time:T (such as time:2026-01-31T15:04:05Z) or a time ago such as -10m",
		"5":                          "want oldest, newest, offset:N",
		"offset:":                    "--from offset:: want a number from 0, such as offset:1000",
		"offset:-1":                  "want a number from 0",
		"offset:9999999999999999999": "want a number from 0",
		"time:noon":                  "--from time:noon: want a time of RFC 3339, such as time:2026-01-31T15:04:05Z",
		"time:2026-01-31":            "want a time of RFC 3339",
		"-10":                        "--from -10: want a time ago, such as -10m, -1h30m or -7d",
		"--10m":                      "want a time ago",
		"-1.5d":                      "want a time ago",
	} {
		_, err := parsePosition("from", says, now)
		require.ErrorContains(t, err, want)
		require.Equal(t, 2, exitCode(err))
	}
}
