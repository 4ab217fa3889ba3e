package client

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkConsume reads records of 1 KiB in batches of 64 KiB that another
// process pushes, with every checksum checked and every record looked at.
func BenchmarkConsume(b *testing.B) {
	c := dial(b, Options{}, apart(b))
	n, err := c.Consumer(b.Context(), "t", ConsumerOptions{From: FromOffset(0)})
	require.NoError(b, err)
	defer n.Close()
	b.SetBytes(1024)
	b.ReportAllocs()
	began, left := cpu(b), 0
	var rs *Records
	for b.Loop() {
		for rs == nil || !rs.Next() {
			if rs, err = n.Poll(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		left += len(rs.Record().Value)
	}
	require.Equal(b, 1024*b.N, left)
	reportCPU(b, began, b.N, "record")
}
