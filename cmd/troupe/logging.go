package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/sirupsen/logrus"
)

// newLog makes the one logger of the process; all rooms and libraries write
// to it.
func newLog(to io.Writer, level, format string) (*logrus.Logger, error) {
	l := logrus.New()
	l.SetOutput(to)
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, usagef("--log-level %q: want error, warn, info, debug or trace", level)
	}
	l.SetLevel(parsed)
	const millis = "2006-01-02T15:04:05.000Z07:00" // what brokers do together takes less than a second
	switch format {
	case "text":
		l.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: millis, DisableColors: true})
	case "json":
		l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: millis})
	default:
		return nil, usagef("--log-format %q: want text or json", format)
	}
	return l, nil
}

// bridge carries slog records, the form in which rooms and protoactor log, to
// logrus.
type bridge struct {
	to     *logrus.Logger
	limit  *logCounts
	fields logrus.Fields
	group  string
}

func newSlog(to *logrus.Logger, limit *logCounts) *slog.Logger {
	return slog.New(bridge{to: to, limit: limit})
}

func logrusLevel(l slog.Level) logrus.Level {
	switch {
	case l >= slog.LevelError:
		return logrus.ErrorLevel
	case l >= slog.LevelWarn:
		return logrus.WarnLevel
	case l >= slog.LevelInfo:
		return logrus.InfoLevel
	}
	return logrus.DebugLevel
}

// Enabled implements slog.Handler.
func (b bridge) Enabled(_ context.Context, l slog.Level) bool {
	return b.to.IsLevelEnabled(logrusLevel(l))
}

// Handle implements slog.Handler.
func (b bridge) Handle(_ context.Context, r slog.Record) error {
	fields := make(logrus.Fields, len(b.fields)+r.NumAttrs())
	for k, v := range b.fields {
		fields[k] = v
	}
	r.Attrs(func(a slog.Attr) bool {
		b.add(fields, b.group, a)
		return true
	})
	partition, _ := fields["partition"].(string)
	told, left := b.limit.admit(r.Time, repeated{r.Level, r.Message, partition})
	if !told {
		return nil
	}
	if left > 0 {
		fields["suppressed"] = left
	}
	b.to.WithFields(fields).Log(logrusLevel(r.Level), r.Message)
	return nil
}

func (b bridge) add(fields logrus.Fields, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, inner := range v.Group() {
			b.add(fields, prefix+a.Key+".", inner)
		}
		return
	}
	switch x := v.Any().(type) {
	case error:
		fields[prefix+a.Key] = x.Error()
	case fmt.Stringer:
		fields[prefix+a.Key] = x.String()
	default:
		fields[prefix+a.Key] = x
	}
}

// WithAttrs implements slog.Handler.
func (b bridge) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := make(logrus.Fields, len(b.fields)+len(attrs))
	for k, v := range b.fields {
		fields[k] = v
	}
	for _, a := range attrs {
		b.add(fields, b.group, a)
	}
	b.fields = fields
	return b
}

// WithGroup implements slog.Handler.
func (b bridge) WithGroup(name string) slog.Handler {
	if name != "" {
		b.group += name + "."
	}
	return b
}
