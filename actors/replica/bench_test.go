package replica

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

// BenchmarkProduce is one 64 KiB batch from Produce over the disk to its
// Answer, in a group of one: what the mind itself costs. The batch is not
// copied on the way.
func BenchmarkProduce(b *testing.B) {
	d := newDisk([]codec.ReplicaID{1})
	m, err := d.open(1)
	require.NoError(b, err)
	m.Campaign()
	benchTurn(b, d, m)
	payload := batch(strings.Repeat("x", 64<<10), 100)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Produce(1, payload, nil); err != nil {
			b.Fatal(err)
		}
		if n := benchTurn(b, d, m); n != 1 {
			b.Fatalf("%d answers", n)
		}
	}
}

// benchTurn runs until nothing is left to do and counts the answers.
func benchTurn(b *testing.B, d *disk, m *Mind) (answers int) {
	for {
		fx := m.Take()
		answers += len(fx.Answers)
		if len(fx.Appends) == 0 {
			if n := len(d.entries); n > 1000 { // keep the log short: all of it is applied
				d.start, d.startAt, d.entries = d.entries[n-1].Index, d.entries[n-1].Term, nil
			}
			return answers
		}
		for _, a := range fx.Appends {
			d.entries = append(d.entries, a.Entries...)
			m.Persisted(a)
		}
	}
}
