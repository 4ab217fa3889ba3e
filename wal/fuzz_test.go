package wal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func FuzzWalkWAL(f *testing.F) {
	var p []byte
	for i := codec.Index(5); i < 9; i++ {
		one := appendEntry(nil, &Entry{Index: i, Term: 2, Data: []byte{3, byte(i)}}, i-1)
		p = append(append(p, byte(len(one))), one...)
	}
	f.Add(p)
	f.Add(p[:len(p)-3])
	f.Add(append(p[:60:60], make([]byte, 40)...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, p []byte) {
		next := codec.Index(5)
		good, bad, err := walkWAL(p, 5, func(e found) error {
			require.Equal(t, next, e.Index)
			next++
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, bad == nil, good == int64(len(p)))
		provedBehind(p[good:], next)
	})
}

func FuzzDecodeHard(f *testing.F) {
	p, err := birth.encode(9)
	require.NoError(f, err)
	f.Add(p)
	f.Add(p[:100])
	f.Fuzz(func(t *testing.T, p []byte) {
		h, sequence, ok := decodeHard(p)
		if !ok {
			return
		}
		again, err := h.encode(sequence)
		require.NoError(t, err)
		h2, s2, ok := decodeHard(again)
		require.True(t, ok)
		require.Equal(t, sequence, s2)
		require.Equal(t, h, h2)
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add((&Snapshot{Index: 4, Term: 2, Data: []byte("data")}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := decodeSnapshot(p); err == nil {
			require.Equal(t, p, s.encode())
		}
	})
}
