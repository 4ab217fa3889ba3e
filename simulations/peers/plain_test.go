package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is counted behind a kill is what the files hold.
func TestTheCensusFindsWhatIsMissing(t *testing.T) {
	s := shape{Verb: "fill", Partitions: 6, RecordSize: 256, Batch: 8, InFlight: 4, Records: 6 * 8 * 30}
	dir := t.TempDir()
	d, err := openPlain(opened{Dir: dir, Shape: s}, plain4)
	require.NoError(t, err)
	g := generating(t, s, d)
	g.run(t.Context())
	require.NoError(t, g.failed)

	count := func() (acknowledged, missing int) {
		c := g.ledger.census(s.Batch)
		require.NoError(t, readPlain(dir, s.RecordSize, c.see))
		return c.result()
	}
	acknowledged, missing := count()
	require.Equal(t, s.Records, acknowledged)
	require.Zero(t, missing)

	name := filepath.Join(dir, "plain-2")
	p, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, p[s.RecordSize:], 0o600))
	_, missing = count()
	require.Equal(t, 1, missing, "one record was cut off")
	require.NoError(t, os.Remove(name))
	_, missing = count()
	require.Equal(t, 8*30, missing, "the file of one partition is gone") // partitions 2 of 6 over 4 files
}

func TestAForeignRecordIsRefused(t *testing.T) {
	l, err := openLedger(filepath.Join(t.TempDir(), "ledger"), 2)
	require.NoError(t, err)
	c := l.census(1)
	require.Error(t, c.see([]byte("short")))
	r := make([]byte, 64)
	fillRecord(r, 2, 0, 0)
	require.Error(t, c.see(r), "there is no such partition")
	require.NoError(t, l.close())
}
