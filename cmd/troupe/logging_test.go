package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// logTo makes the log of a broker that writes JSON.
func logTo(t testing.TB, out *bytes.Buffer) (*slog.Logger, *logCounts) {
	t.Helper()
	l, err := newLog(out, "info", "json")
	require.NoError(t, err)
	counts := newLogCounts()
	l.AddHook(counts)
	return newSlog(l, counts), counts
}

// Fields keep their names, in groups and with errors, whoever logs.
func TestLogFields(t *testing.T) {
	var out bytes.Buffer
	log, _ := logTo(t, &out)
	log.With("partition", "t/0").WithGroup("disk").Error("a replica stopped", "error", errors.New("EIO"), "after", time.Second, slog.Group("room", "free", 1))
	log.Debug("not at this level")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.NotEmpty(t, line["time"])
	delete(line, "time")
	require.Equal(t, map[string]any{"level": "error", "msg": "a replica stopped", "partition": "t/0", "disk.error": "EIO", "disk.after": "1s", "disk.room.free": 1.0}, line)
}

// A storm of one message leaves room for the others, and says what it hid.
func TestRepeatedMessagesAreFew(t *testing.T) {
	var out bytes.Buffer
	log, counts := logTo(t, &out)
	for range 1000 {
		log.Info("connection closed", "remote", "10.0.0.1:1")
	}
	for i := range 3 {
		log.Error("replica is quarantined", "partition", fmt.Sprintf("t/%d", i))
	}
	require.Equal(t, repeatMax+3, bytes.Count(out.Bytes(), []byte("\n")))
	require.EqualValues(t, 1000-repeatMax, counts.suppressed.Load())
	require.EqualValues(t, repeatMax, counts.levels()["info"])
	require.EqualValues(t, 3, counts.levels()["error"])

	k, now := repeated{slog.LevelInfo, "connection closed", ""}, time.Now()
	told, _ := counts.admit(now.Add(repeatEvery/2), k)
	require.False(t, told)
	told, left := counts.admit(now.Add(repeatEvery+time.Second), k)
	require.True(t, told)
	require.Equal(t, 1000-repeatMax+1, left)
	told, left = counts.admit(now.Add(repeatEvery+time.Second), k)
	require.True(t, told)
	require.Zero(t, left)
	for i := range 2 * repeatKinds {
		counts.admit(now, repeated{slog.LevelInfo, fmt.Sprint(i), ""})
	}
	require.LessOrEqual(t, len(counts.recent), repeatKinds, "what is remembered is bounded")
}

func TestWhatIsSuppressedIsSaid(t *testing.T) {
	var out bytes.Buffer
	l := logrus.New()
	l.SetOutput(&out)
	counts := newLogCounts()
	h := bridge{to: l, limit: counts}
	now := time.Now()
	say := func(at time.Time) {
		require.NoError(t, h.Handle(t.Context(), slog.NewRecord(at, slog.LevelWarn, "again", 0)))
	}
	for range repeatMax + 5 {
		say(now)
	}
	require.NotContains(t, out.String(), "suppressed")
	say(now.Add(repeatEvery))
	require.Contains(t, out.String(), "suppressed=5")
}
