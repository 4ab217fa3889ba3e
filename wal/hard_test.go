package wal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// promising makes a log whose hard state was changed in every way; what it
// promises is what its Log has in memory.
func promising(t *testing.T) (b *bench, name string) {
	b = newBenchIn(t, inMemory(t), Options{})
	b.put(5, 1, 20)
	b.commit()
	require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: 5, For: 3}}))
	require.NoError(t, b.Log.SetConf([]byte("other"), 4))
	require.NoError(t, b.Log.SetStart(2))
	require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: 7, For: 2}}))
	require.NoError(t, b.Log.Rest(b.Index.Committed()))
	require.NoError(t, b.Log.Close())
	return b, filepath.Join(b.dir, hardName)
}

// slotBytes is how much of a slot its checksum covers, and the checksum.
func slotBytes(h Hard) int { return hardFixed + len(h.Conf) + 4 }

// Every byte of each slot is flipped, every sector and all of each slot zeroed:
// what was promised is found, and stands in both slots again. Then the other slot
// may go.
func TestRotOfEitherSlotForgetsNoPromise(t *testing.T) {
	b, name := promising(t)
	want := b.Log.hardNow(t, name)
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Len(t, whole, 2*hardSlotBytes)
	rots := 0
	try := func(slot int, mends bool, rot func(p []byte)) {
		p := append([]byte(nil), whole...)
		rot(p[slot*hardSlotBytes : (slot+1)*hardSlotBytes])
		require.NoError(t, os.WriteFile(name, p, 0o600))
		for range 2 {
			o, err := Open(OS{}, b.dir, b.opts, nil)
			require.NoError(t, err)
			require.True(t, o.Hard.promisesAs(want), "%+v", o.Hard)
			require.Equal(t, mends, len(o.Mended) == 1, o.Mended)
			require.NoError(t, o.Log.Close())
			if !mends {
				return
			}
			// Now the slot that it was mended from.
			p, err := os.ReadFile(name)
			require.NoError(t, err)
			clear(p[(1-slot)*hardSlotBytes : (2-slot)*hardSlotBytes])
			require.NoError(t, os.WriteFile(name, p, 0o600))
		}
		rots++
	}
	for slot := range 2 {
		for at := range slotBytes(want) {
			try(slot, true, func(p []byte) { p[at] ^= 1 << (at % 8) })
		}
		try(slot, false, func(p []byte) { p[slotBytes(want)] ^= 1 }) // nobody reads that
		try(slot, true, func(p []byte) { clear(p[:512]) })
		try(slot, true, func(p []byte) { clear(p) })
	}
	require.Equal(t, 2*(slotBytes(want)+2), rots)
}

// hardNow is what the file says.
func (l *Log) hardNow(t *testing.T, name string) Hard {
	h, err := openHard(OS{}, name)
	require.NoError(t, err)
	require.True(t, h.whole())
	require.NoError(t, h.file.Close())
	return h.now
}

// Where neither slot can be believed, or one shows that a write is lost that was
// fsynced, the replica is damaged: it does not fall back on an older promise.
func TestAHardStateThatCannotBeToldIsDamage(t *testing.T) {
	b, name := promising(t)
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	old := make([]byte, len(whole))
	copy(old, whole)
	b.open()
	require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: 8, For: 1}}))
	require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: 9, For: 4}}))
	require.NoError(t, b.Log.Close())
	now, err := os.ReadFile(name)
	require.NoError(t, err)
	slot := func(of []byte, i int) []byte { return of[i*hardSlotBytes : (i+1)*hardSlotBytes] }
	for what, c := range map[string]struct {
		slots [2][]byte
		says  string
	}{
		"both are zeros":             {[2][]byte{make([]byte, hardSlotBytes), make([]byte, hardSlotBytes)}, "neither slot"},
		"each stands in the other":   {[2][]byte{slot(now, 1), slot(now, 0)}, "neither slot"},
		"one is twice":               {[2][]byte{slot(now, 0), slot(now, 0)}, ""},
		"a write of the first lost":  {[2][]byte{slot(old, 0), slot(now, 1)}, "a write that was fsynced is lost"},
		"a write of the second lost": {[2][]byte{slot(now, 0), slot(old, 1)}, "a write that was fsynced is lost"},
	} {
		require.NoError(t, os.WriteFile(name, append(append([]byte(nil), c.slots[0]...), c.slots[1]...), 0o600))
		o, err := Open(OS{}, b.dir, b.opts, nil)
		if c.says == "" {
			require.NoError(t, err, what)
			require.Equal(t, Vote{9, 4}, Vote{o.Hard.Term, o.Hard.Vote}, what)
			require.NoError(t, o.Log.Close())
			continue
		}
		require.True(t, IsCorrupt(err), "%s: %v", what, err)
		require.ErrorContains(t, err, c.says, what)
	}
}

// Only what nothing was promised about is written once.
func TestARestWritesOneSlot(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{})
	sequence := func() uint64 { return b.Log.hard.sequence }
	steps := func(do func() error) uint64 {
		before := sequence()
		require.NoError(t, do())
		return sequence() - before
	}
	b.put(3, 1, 20)
	require.Equal(t, uint64(2), sequence(), "as it was made")
	b.commit()
	require.Equal(t, uint64(1), steps(func() error { return b.Log.Rest(b.Index.Committed()) }))
	require.Zero(t, steps(func() error { return b.Log.Rest(b.Index.Committed()) }))
	require.Equal(t, uint64(2), steps(func() error { return b.Log.Write(&Write{Vote: &Vote{Term: 5, For: 3}}) }))
	require.Zero(t, steps(func() error { return b.Log.Write(&Write{Vote: &Vote{Term: 5, For: 3}}) }))
	require.Zero(t, steps(func() error { b.put(1, 1, 20); return nil }), "a batch")
	require.Equal(t, uint64(2), steps(func() error { return b.Log.SetStart(1) }))
	require.NoError(t, b.Log.Close())
	before := b.Log
	b.open()
	require.NotSame(t, before, b.Log)
	require.NoError(t, b.Log.Close())
}

// BenchmarkVote is what a promise costs on the disk of the temporary directory.
func BenchmarkVote(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "g1-r1")
	require.NoError(b, Create(OS{}, dir, birth))
	o, err := Open(OS{}, dir, Options{}, nil)
	require.NoError(b, err)
	term := o.Hard.Term
	for b.Loop() {
		term++
		if err := o.Log.Write(&Write{Vote: &Vote{Term: term, For: codec.ReplicaID(3)}}); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, o.Log.Close())
}
