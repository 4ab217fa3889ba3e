package wal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// meddling is a disk on which something happens before the k-th call of a reader.
type meddling struct {
	FS
	left   int
	meddle func()
}

func (m *meddling) count() {
	if m.left--; m.left == 0 {
		m.meddle()
	}
}

func (m *meddling) ReadDir(dir string) ([]DirEntry, error) {
	m.count()
	return m.FS.ReadDir(dir)
}

func (m *meddling) Open(name string, create bool) (File, error) {
	m.count()
	f, err := m.FS.Open(name, create)
	return meddled{f, m}, err
}

type meddled struct {
	File
	m *meddling
}

func (f meddled) ReadAt(p []byte, off int64) (int, error) {
	f.m.count()
	return f.File.ReadAt(p, off)
}

// A log is cut and grows again between two calls of a reader, and between two
// more: to the same files or to others. What is committed is read all the same.
func TestCutsBetweenCallsAreNoDamage(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{SegmentBytes: 1500, WALFileBytes: 700})
	b.put(30, 2, 60)
	b.Index.Commit(23)
	term := codec.Term(10)
	grow := func(n int) {
		term++
		b.replace(24, term, n, 60)
	}
	for first := 1; first <= 24; first++ {
		for then := 1; then <= 12; then++ {
			for _, n := range [][2]int{{1, 9}, {9, 1}, {5, 5}} {
				m := &meddling{FS: OS{}, left: first}
				m.meddle = func() {
					b.Index.fs = OS{}
					grow(n[0])
					m.left, m.meddle = then, func() { grow(n[1]) }
					b.Index.fs = m
				}
				b.Index.fs = m
				list, err := b.Index.ReadEntries(9, 24, 1<<20)
				require.NoError(t, err, "before calls %d and %d", first, then)
				require.NoError(t, whole(list, 9, 24), "before calls %d and %d", first, then)
				_, err = b.Index.ReadPayloads(list, 1<<20)
				require.NoError(t, err)
				b.Index.fs = OS{}
			}
		}
	}
	require.NoError(t, b.Log.Close())
}
