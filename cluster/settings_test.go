package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name, value string
		says        string // "" = allowed
		canonical   string // "" = as given
	}{
		{"durability", "fsync", "", ""},
		{"durability", "os", "", ""},
		{"durability", "none", `INVALID_SETTING: durability="none": allowed is fsync, os (one replica only)`, ""},
		{"cleanup", "delete", "", ""},
		{"cleanup", "compact", `cleanup="compact": allowed is delete`, ""},
		{"retention.time", "7d", "", ""},
		{"retention.time", "12h", "", ""},
		{"retention.time", "30m", "", ""},
		{"retention.time", "45s", "", ""},
		{"retention.time", "500ms", "", ""},
		{"retention.time", "48h", "", "2d"},
		{"retention.time", "-1", "", ""},
		{"retention.time", "0s", `retention.time="0s": allowed is a duration such as 7d, 12h, 30m, 45s or 500ms, or -1 for never`, ""},
		{"retention.time", "-5s", "allowed is a duration", ""},
		{"retention.time", "7", "allowed is a duration", ""},
		{"retention.time", "d", "allowed is a duration", ""},
		{"retention.time", "1.5h", "allowed is a duration", ""},
		{"retention.time", "+1h", "allowed is a duration", ""},
		{"retention.time", "99999999999999999d", "allowed is a duration", ""},
		{"retention.bytes", "1048576", "", "1MiB"},
		{"retention.bytes", "1048577", "", ""},
		{"retention.bytes", "-1", "", ""},
		{"retention.bytes", "0", "allowed is a size such as 1GiB, 64MiB or 1048576, or -1 for no limit", ""},
		{"retention.bytes", "9999999TiB", "allowed is a size", ""},
		{"segment.bytes", "64MiB", "", ""},
		{"segment.bytes", "1GiB", "", ""},
		{"segment.bytes", "1023KiB", `segment.bytes="1023KiB": allowed is a size from 1MiB to 1GiB`, ""},
		{"segment.bytes", "2GiB", "allowed is a size from 1MiB to 1GiB", ""},
		{"message.bytes.max", "1MiB", "", ""},
		{"message.bytes.max", "5MiB", "allowed is a size from 1KiB to 4MiB", ""},
		{"colour", "red", `no setting "colour": allowed are cleanup, durability, message.bytes.max, retention.bytes, retention.time, segment.bytes`, ""},
	} {
		got, err := DefaultSettings().With(map[string]string{c.name: c.value})
		if c.says != "" {
			require.ErrorIs(t, err, codec.E(codec.InvalidSetting), "%s=%s", c.name, c.value)
			require.ErrorContains(t, err, c.says)
			continue
		}
		require.NoError(t, err, "%s=%s", c.name, c.value)
		if c.canonical == "" {
			c.canonical = c.value
		}
		require.Equal(t, c.canonical, got.Map()[c.name])
		again, err := DefaultSettings().With(got.Map())
		require.NoError(t, err)
		require.Equal(t, got, again, "what is written is read the same")
	}
}

func TestDefaultsAreTheContracts(t *testing.T) {
	require.Equal(t, map[string]string{"durability": "fsync", "retention.time": "7d", "retention.bytes": "-1",
		"segment.bytes": "64MiB", "message.bytes.max": "1MiB", "cleanup": "delete"}, DefaultSettings().Map())
}

func TestSettingsThatDisagree(t *testing.T) {
	s := DefaultSettings()
	s.Durability = OS
	require.NoError(t, s.check(1))
	require.ErrorContains(t, s.check(3), "durability=os: allowed only with one replica, the topic has 3")
	s = DefaultSettings()
	s.SegmentBytes, s.MessageBytesMax = 1<<20, 2<<20
	require.ErrorContains(t, s.check(1), "message.bytes.max=2MiB: a batch must fit segment.bytes=1MiB")
}

func FuzzSettings(f *testing.F) {
	for name, value := range DefaultSettings().Map() {
		f.Add(name, value)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		s, err := DefaultSettings().With(map[string]string{name: value})
		if err != nil {
			require.LessOrEqual(t, len(err.Error()), 1000)
			return
		}
		again, err := DefaultSettings().With(s.Map())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
