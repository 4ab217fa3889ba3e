package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spoil changes a word of a file.
func spoil(t *testing.T, dir, file, from, to string) {
	t.Helper()
	name := filepath.Join(dir, file)
	p, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(p), from)
	require.NoError(t, os.WriteFile(name, []byte(strings.ReplaceAll(string(p), from, to)), 0o600))
}
