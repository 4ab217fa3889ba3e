package wal

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// inMemory is a directory without a disk below it, where the host has one:
// thousands of openings fsync.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "troupe")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// rotting makes a log of several segments whose end was acknowledged, and
// returns every byte that a reader may be given, by offset of its batch.
func rotting(t *testing.T, rest bool) (b *bench, want map[codec.Offset]string) {
	b = newBenchIn(t, inMemory(t), Options{SegmentBytes: 1500, WALFileBytes: 700})
	for range 4 {
		b.put(1, 2, 120)
	}
	b.putTogether(3, 1, 90)
	for range 3 {
		b.put(1, 2, 120)
	}
	b.commit()
	b.putTogether(2, 1, 40)
	b.commit()
	if rest {
		require.NoError(t, b.Log.Rest(b.Index.Committed()))
	} else {
		// The next group says what was durable when it was written.
		b.put(1, 1, 40)
	}
	require.NoError(t, b.Log.Close())
	want = map[codec.Offset]string{}
	v := b.Index.View()
	for o := codec.Offset(0); o < v.HighWatermark(); {
		p, err := v.Read(nil, o, 1)
		require.NoError(t, err)
		want[o] = string(p)
		o += codec.Offset(codec.Batch(p).Count())
	}
	return b, want
}

// judge opens the log and reads all that was acknowledged. It says whether
// the damage was detected; different or fewer records fail the test.
func (b *bench) judge(want map[codec.Offset]string, acked codec.Index, what string, args ...any) (detected bool) {
	b.t.Helper()
	o, err := Open(OS{}, b.dir, b.opts, nil)
	if err != nil {
		require.True(b.t, IsCorrupt(err), "%v", err)
		return true
	}
	defer func() { require.NoError(b.t, o.Log.Close()) }()
	require.GreaterOrEqual(b.t, o.Index.Last(), acked, append([]any{what}, args...)...)
	o.Index.Commit(acked)
	v := o.Index.View()
	for offset, bytes := range want {
		p, err := v.Read(nil, offset, 1)
		if err != nil {
			require.True(b.t, IsCorrupt(err), "%v", err)
			detected = true
			continue
		}
		require.Equal(b.t, bytes, string(p), append([]any{what}, args...)...)
	}
	return detected
}

func TestEveryFlippedByteIsDetectedAndNeverServed(t *testing.T) {
	for _, rest := range []bool{true, false} {
		b, want := rotting(t, rest)
		acked := b.Index.Committed()
		flips := 0
		for _, dir := range []string{segmentDir, walDir} {
			list, err := os.ReadDir(filepath.Join(b.dir, dir))
			require.NoError(t, err)
			require.Greater(t, len(list), 1)
			for i, e := range list {
				name := filepath.Join(b.dir, dir, e.Name())
				whole, err := os.ReadFile(name)
				require.NoError(t, err)
				hard, err := os.ReadFile(filepath.Join(b.dir, hardName))
				require.NoError(t, err)
				size := b.extent(dir, e.Name(), whole, acked)
				for at := range size {
					p := append([]byte(nil), whole...)
					p[at] ^= 1 << (at % 8)
					require.NoError(t, os.WriteFile(name, p, 0o600))
					require.True(t, b.judge(want, acked, "byte %d of %s", at, name), "byte %d of file %d of %s was flipped and nobody noticed", at, i, dir)
					flips++
					// Opening may have written: put back what was.
					require.NoError(t, os.WriteFile(name, whole, 0o600))
					require.NoError(t, os.WriteFile(filepath.Join(b.dir, hardName), hard, 0o600))
				}
			}
		}
		require.False(t, b.judge(want, acked, "untouched"))
		t.Logf("rested %v: %d bytes flipped", rest, flips)
	}
}

// extent is how many bytes of a file belong to acknowledged entries.
func (b *bench) extent(dir, name string, p []byte, acked codec.Index) (size int) {
	if dir == segmentDir {
		base, _ := parseSegmentName(name)
		for _, s := range b.Index.segments() {
			if s.base == base {
				size = int(s.bytes)
			}
		}
		if base == b.Index.readable.segment {
			size = int(b.Index.readable.position)
		}
		if base >= b.Index.readable.offset {
			size = 0 // begun behind what was acknowledged
		}
		return size
	}
	first, _ := parseWALName(name)
	_, _, err := walkWAL(p, first, func(f found) error {
		if f.Index <= acked {
			size = int(f.End)
		}
		return nil
	})
	require.NoError(b.t, err)
	return size
}

// An entry whose checksum holds says that its batch lies where none can.
func TestAnAbsurdPlaceIsDamage(t *testing.T) {
	for _, place := range []Place{{0, math.MaxInt64 - 10}, {0, -5000}, {0, math.MinInt64}, {-7, 0}, {0, 0}, {9, 0}} {
		b := newBenchIn(t, inMemory(t), Options{})
		b.put(3, 1, 100)
		require.NoError(t, b.Log.Rest(b.Index.Last()))
		require.NoError(t, b.Log.Close())
		name := filepath.Join(b.dir, walDir, walName(2))
		p, err := os.ReadFile(name)
		require.NoError(t, err)
		var out []byte
		_, _, err = walkWAL(p, 2, func(f found) error {
			if f.Index == 4 {
				f.Place = place
			}
			one := appendEntry(nil, &f.Entry, f.Synced)
			out = append(binary.AppendUvarint(out, uint64(len(one))), one...)
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, out, 0o600))
		_, err = Open(OS{}, b.dir, b.opts, nil)
		require.True(t, IsCorrupt(err), "%v: %v", place, err)
	}
}

// What Open cuts as the torn end of a last group is no damage to Inspect.
func TestInspectTellsATornEndFromDamage(t *testing.T) {
	b := newBenchIn(t, inMemory(t), Options{})
	b.put(1, 1, 100)
	require.NoError(t, b.Log.Rest(b.Index.Last()))
	b.put(1, 1, 100)
	end := b.Index.active.bytes
	require.NoError(t, b.Log.Close())
	name := filepath.Join(b.dir, segmentDir, segmentName(0))
	rot := func(at int64) {
		p, err := os.ReadFile(name)
		require.NoError(t, err)
		p[at] ^= 1
		require.NoError(t, os.WriteFile(name, p, 0o600))
	}
	rot(end - 10)
	r, err := Inspect(OS{}, b.dir, nil)
	require.NoError(t, err)
	require.Contains(t, r.Torn, "entry 3")
	o, err := Open(OS{}, b.dir, b.opts, nil)
	require.NoError(t, err)
	require.Equal(t, 1, o.Cut)
	require.NoError(t, o.Log.Close())
	rot(80)
	_, err = Inspect(OS{}, b.dir, nil)
	require.True(t, IsCorrupt(err))
}

func TestAMissingOrShortFileIsDamage(t *testing.T) {
	for _, change := range []func(name string) error{os.Remove, func(name string) error { return os.Truncate(name, 100) }} {
		b, want := rotting(t, true)
		for _, dir := range []string{segmentDir, walDir} {
			list, err := os.ReadDir(filepath.Join(b.dir, dir))
			require.NoError(t, err)
			for _, e := range list {
				name := filepath.Join(b.dir, dir, e.Name())
				whole, err := os.ReadFile(name)
				require.NoError(t, err)
				if len(bytes.TrimRight(whole, "\x00")) <= 100 {
					continue // the tail behind a roll: empty, or nothing but room
				}
				require.NoError(t, change(name))
				require.True(t, b.judge(want, b.Index.Committed(), "%s", name), name)
				require.NoError(t, os.WriteFile(name, whole, 0o600))
			}
		}
		require.False(t, b.judge(want, b.Index.Committed(), "put back"))
	}
}
