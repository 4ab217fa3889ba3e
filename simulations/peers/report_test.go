package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func resultOf(mb, p50 float64) loadResult {
	return loadResult{Records: int64(mb * 1000), Bytes: int64(mb * 1e6), Elapsed: time.Second, P50: p50, P99: 2 * p50, ServerCPU: time.Second, LoadCPU: time.Second}
}

// The page says what was measured, and of each goal whether it was met.
func TestThePageComesOutOfTheResults(t *testing.T) {
	all := cells(time.Second)
	m := &measured{Machine: machine{Cores: 2}, Versions: map[string]string{"nats-server": "v0"}, Reps: 3, Seconds: 1, Cells: []cellResult{{all[0], []outcome{
		{System: troupeD, Results: []loadResult{resultOf(300, 2), resultOf(900, 1), resultOf(400, 3)}, Counted: true, Acknowledged: 10, Missing: 1},
		{System: plain4, Results: []loadResult{resultOf(700, 1), resultOf(900, 1), resultOf(800, 1)}},
		{System: natsP, Results: []loadResult{resultOf(90, 9), resultOf(110, 9), resultOf(100, 9)}},
	}}}}
	page := m.write()
	require.Contains(t, page, "| troupe | 400.0 (300.0–900.0) |", "the median, and the spread")
	require.Contains(t, page, "| 10, **1** |", "what is missing")
	require.Contains(t, page, "| durable produce, to NATS default (which does not fsync) | 4.00× | at least 4× | met |")
	require.Contains(t, page, "| durable produce, to four plain files | 0.50× | at least 0.50× | met |")
	require.NotContains(t, page, "page cache, to NATS", "what was not measured is not judged")

	raw, err := json.Marshal(m)
	require.NoError(t, err)
	var back measured
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, page, back.write(), "the page can be written again from what is kept")
	require.NoError(t, m.draw(t.TempDir()))
}

func TestEveryCellCanBeRun(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cells(time.Second) {
		require.False(t, seen[c.Name], c.Name)
		require.True(t, c.HalfOf == "" || seen[c.HalfOf], "%s is half of a later cell", c.Name)
		require.NotEmpty(t, c.Drivers)
		require.Positive(t, c.Shape.Partitions*c.Shape.Batch*c.Shape.RecordSize)
		require.GreaterOrEqual(t, c.Shape.RecordSize, recordHead)
		seen[c.Name] = true
	}
}
