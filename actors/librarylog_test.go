package actors

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// A broker that starts has nothing to say to whoever runs it; a library's
// warnings still come through.
func TestAStartIsQuiet(t *testing.T) {
	var out bytes.Buffer
	b, err := Start(context.Background(), Config{Dir: t.TempDir(), Node: "n1", Log: slog.New(slog.NewTextHandler(&out, nil))})
	require.NoError(t, err)
	closeBroker(t, b)
	require.Empty(t, out.String())

	library := slog.New(quieter{slog.NewTextHandler(&out, nil)}).With("lib", "actor").WithGroup("g")
	library.Info("news")
	require.Empty(t, out.String())
	library.Warn("odd", "k", 1)
	require.Contains(t, out.String(), "level=WARN msg=odd lib=actor g.k=1")
	debug := slog.New(quieter{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})})
	debug.Info("news")
	require.Contains(t, out.String(), "level=DEBUG msg=news")
}
