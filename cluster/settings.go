package cluster

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// Durability is when a record counts as kept.
type Durability string

const (
	// Fsync acknowledges what is on the disks of a majority.
	Fsync Durability = "fsync"
	// OS acknowledges what is in the page cache: it survives kill -9, not a
	// loss of power. Only for topics with one replica.
	OS Durability = "os"
)

// Cleanup is what becomes of old records.
type Cleanup string

// Delete drops whole segments by age and size.
const Delete Cleanup = "delete"

// Forever is the value of a retention without a limit.
const Forever = -1

// Settings are a topic's, as the contract names them.
type Settings struct {
	Durability      Durability
	RetentionTime   codec.Millis // a span in ms, or Forever
	RetentionBytes  int64        // per partition, or Forever
	SegmentBytes    int64
	MessageBytesMax int64 // of one batch
	Cleanup         Cleanup
}

// DefaultSettings are those of a topic that names none.
func DefaultSettings() Settings {
	return Settings{Durability: Fsync, RetentionTime: 7 * day, RetentionBytes: Forever, SegmentBytes: 64 << 20,
		MessageBytesMax: 1 << 20, Cleanup: Delete}
}

// Bounds of settings in bytes. A batch and what a frame adds to it must fit
// the 8 MiB of a frame.
const (
	SegmentBytesMin      = 1 << 20
	SegmentBytesMax      = 1 << 30
	MessageBytesMaxFloor = 1 << 10
	MessageBytesMaxLimit = 4 << 20
)

// setting is how one setting is read and written.
type setting struct {
	allowed string
	set     func(*Settings, string) bool
	get     func(Settings) string
}

var settings = map[string]setting{
	"durability": {"fsync, os (one replica only)",
		func(s *Settings, v string) bool {
			s.Durability = Durability(v)
			return s.Durability == Fsync || s.Durability == OS
		},
		func(s Settings) string { return string(s.Durability) }},
	"cleanup": {"delete",
		func(s *Settings, v string) bool { s.Cleanup = Cleanup(v); return s.Cleanup == Delete },
		func(s Settings) string { return string(s.Cleanup) }},
	"retention.time": {"a duration such as 7d, 12h, 30m, 45s or 500ms, or -1 for never",
		func(s *Settings, v string) (ok bool) { s.RetentionTime, ok = parseDuration(v); return ok },
		func(s Settings) string { return formatDuration(s.RetentionTime) }},
	"retention.bytes": {"a size such as 1GiB, 64MiB or 1048576, or -1 for no limit",
		func(s *Settings, v string) (ok bool) {
			s.RetentionBytes, ok = parseSize(v, 1, math.MaxInt64)
			if v == "-1" {
				s.RetentionBytes, ok = Forever, true
			}
			return ok
		},
		func(s Settings) string { return formatSize(s.RetentionBytes) }},
	"segment.bytes": {"a size from 1MiB to 1GiB",
		func(s *Settings, v string) (ok bool) {
			s.SegmentBytes, ok = parseSize(v, SegmentBytesMin, SegmentBytesMax)
			return ok
		},
		func(s Settings) string { return formatSize(s.SegmentBytes) }},
	"message.bytes.max": {"a size from 1KiB to 4MiB",
		func(s *Settings, v string) (ok bool) {
			s.MessageBytesMax, ok = parseSize(v, MessageBytesMaxFloor, MessageBytesMaxLimit)
			return ok
		},
		func(s Settings) string { return formatSize(s.MessageBytesMax) }},
}

// With is s with the named settings changed. The error is a *codec.Error of
// code InvalidSetting that names what is allowed.
func (s Settings) With(values map[string]string) (Settings, error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		known, ok := settings[name]
		if !ok {
			return s, codec.Errorf(codec.InvalidSetting, "no setting %q: allowed are %s", clip(name), strings.Join(slices.Sorted(maps.Keys(settings)), ", "))
		}
		if !known.set(&s, values[name]) {
			return s, codec.Errorf(codec.InvalidSetting, "%s=%q: allowed is %s", name, clip(values[name]), known.allowed)
		}
	}
	return s, nil
}

// CheckSettings says whether every one of values has a name and a value that some topic
// may have; the error is as of With. What it refuses no state allows: so it need not be
// written into the log of each broker first, however long it is.
func CheckSettings(values map[string]string) error {
	_, err := DefaultSettings().With(values)
	return err
}

// check says whether s is allowed for a topic with so many replicas.
func (s Settings) check(replicas int) error {
	if s.Durability == OS && replicas != 1 {
		return codec.Errorf(codec.InvalidSetting, "durability=os: allowed only with one replica, the topic has %d", replicas)
	}
	if s.MessageBytesMax > s.SegmentBytes {
		return codec.Errorf(codec.InvalidSetting, "message.bytes.max=%s: a batch must fit segment.bytes=%s", formatSize(s.MessageBytesMax), formatSize(s.SegmentBytes))
	}
	return nil
}

// Map is s as people write it: every setting by its name.
func (s Settings) Map() map[string]string {
	m := make(map[string]string, len(settings))
	for name, known := range settings {
		m[name] = known.get(s)
	}
	return m
}

const day = 24 * 60 * 60 * 1000

// unit is what a number may be followed by, the largest first.
type unit struct {
	name string
	size int64
}

var (
	durations = []unit{{"d", day}, {"h", 3_600_000}, {"m", 60_000}, {"ms", 1}, {"s", 1000}}
	sizes     = []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
)

// parseDuration reads 7d, 12h, 30m, 45s, 500ms, or -1 for Forever.
func parseDuration(s string) (codec.Millis, bool) {
	if s == "-1" {
		return Forever, true
	}
	for _, u := range durations {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			n, ok := parseNumber(digits, u.size)
			return codec.Millis(n), ok && n > 0
		}
	}
	return 0, false
}

// parseSize reads 1GiB, 64MiB, 1KiB or a number of bytes, in [min, max].
func parseSize(s string, min, max int64) (int64, bool) {
	one := int64(1)
	for _, u := range sizes {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			s, one = digits, u.size
			break
		}
	}
	n, ok := parseNumber(s, one)
	return n, ok && n >= min && n <= max
}

// parseNumber is digits times one, unless that overflows.
func parseNumber(digits string, one int64) (int64, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || digits[0] == '+' || n > math.MaxInt64/one {
		return 0, false
	}
	return n * one, true
}

func formatDuration(d codec.Millis) string {
	if d == Forever {
		return "-1"
	}
	for _, u := range []unit{{"d", day}, {"h", 3_600_000}, {"m", 60_000}, {"s", 1000}} {
		if int64(d)%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(d)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dms", d)
}

func formatSize(n int64) string {
	for _, u := range sizes {
		if n > 0 && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

// clip bounds what hostile input may put into a message.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
