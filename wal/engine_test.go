package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/wal"

	"github.com/troupe-mq/troupe/codec"
)

// The engine stands on habits of the library that its interface does not
// promise. An upgrade that breaks one of them fails here.
func TestHabitsOfTheLibrary(t *testing.T) {
	options := func() *wal.Options {
		return &wal.Options{NoSync: true, SegmentSize: 1000, LogFormat: wal.Binary, SegmentCacheSize: 1, NoCopy: true, AllowEmpty: true}
	}
	open := func(t *testing.T, dir string) *wal.Log {
		l, err := wal.Open(dir, options())
		require.NoError(t, err)
		return l
	}
	write := func(t *testing.T, l *wal.Log, from, to uint64, bytes int) {
		var b wal.Batch
		for i := from; i < to; i++ {
			b.Write(i, make([]byte, bytes))
		}
		require.NoError(t, l.WriteBatch(&b))
	}
	names := func(t *testing.T, dir string) (out []string) {
		list, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range list {
			out = append(out, e.Name())
		}
		return out
	}
	t.Run("an empty file sets the first index", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, walName(101)), nil, 0o600))
		l := open(t, dir)
		last, err := l.LastIndex()
		require.NoError(t, err)
		require.EqualValues(t, 100, last)
		write(t, l, 101, 103, 10)
		require.NoError(t, l.Close())
	})
	t.Run("a file is ended by the entry that fills it", func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir)
		write(t, l, 1, 21, 99) // a hundred bytes each with the length
		require.Equal(t, []string{walName(1), walName(11), walName(21)}, names(t, dir))
		info, err := os.Stat(filepath.Join(dir, walName(11)))
		require.NoError(t, err)
		require.EqualValues(t, 1000, info.Size())
		require.NoError(t, l.Close())
	})
	t.Run("an over-full tail is ended before the next entry, a full one behind it", func(t *testing.T) {
		for _, c := range []struct {
			bytes int
			want  []string
		}{
			{998, []string{walName(1), walName(3)}}, // 998 and two bytes of length: full
			{999, []string{walName(1), walName(2)}}, // over-full
		} {
			dir := t.TempDir()
			l, err := wal.Open(dir, &wal.Options{NoSync: true, SegmentSize: 1 << 20, LogFormat: wal.Binary, AllowEmpty: true})
			require.NoError(t, err)
			write(t, l, 1, 2, c.bytes)
			require.NoError(t, l.Close())
			l = open(t, dir)
			write(t, l, 2, 3, 10)
			require.Equal(t, c.want, names(t, dir))
			require.NoError(t, l.Close())
		}
	})
	t.Run("files unlinked from outside are a front truncation, other names are ignored", func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir)
		write(t, l, 1, 31, 99)
		require.NoError(t, os.Remove(filepath.Join(dir, walName(1))))
		write(t, l, 31, 35, 99)
		require.NoError(t, l.TruncateBack(32))
		require.NoError(t, l.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, "aside"), []byte("x"), 0o600))
		l = open(t, dir)
		first, err := l.FirstIndex()
		require.NoError(t, err)
		require.EqualValues(t, 11, first)
		last, err := l.LastIndex()
		require.NoError(t, err)
		require.EqualValues(t, 32, last)
		require.NoError(t, l.Close())
	})
}

func TestTheMirrorOfTheRollHolds(t *testing.T) {
	// Sizes around the roll, across reopenings: append panics when the mirror
	// and the library disagree.
	dir := t.TempDir()
	require.NoError(t, makeEmpty(OS{}, filepath.Join(dir, walName(1))))
	e, err := openEngine(OS{}, dir, walFileBytes, []codec.Index{1}, 0)
	require.NoError(t, err)
	next := codec.Index(1)
	for round := range 12 {
		for _, n := range []int{300 << 10, 1<<20 - 400, walFileBytes - entryHeaderBytes - 3, 10, 700 << 10} {
			var list []Entry
			for range round%3 + 1 {
				list = append(list, Entry{Index: next, Term: 1, Data: make([]byte, n+round)})
				next++
			}
			require.NoError(t, e.append(list, 0))
			require.NoError(t, e.sync())
		}
		if round%2 == 0 {
			files := append([]codec.Index(nil), e.files...)
			require.NoError(t, e.close())
			e, err = openEngine(OS{}, dir, walFileBytes, files, next-1)
			require.NoError(t, err)
		}
	}
	files, _, err := listWAL(OS{}, dir)
	require.NoError(t, err)
	require.Equal(t, files, e.files)
	require.NoError(t, e.close())
}

// failing is a disk on which the library's next append fails.
type failing struct {
	OS
	with error
}

func (f *failing) Foreign(_, what string, do func() error) error {
	if err := f.with; what == "append" && err != nil {
		return err
	}
	return do()
}

// The library fsyncs a file that it ends. An error there is taken for that of
// an fsync, unless it says that it is of something else: a full disk is to be
// waited for, not the end of the replica.
func TestAFailureWhileAFileIsEnded(t *testing.T) {
	full := func(op string) error { return &iofs.PathError{Op: op, Path: "x", Err: syscall.ENOSPC} }
	for _, c := range []struct {
		with         error
		ended, alone bool // a failed fsync, with and without the end of a file
	}{
		{full("write"), false, false},
		{full("open"), false, false},
		{full("sync"), true, false},
		{full("close"), true, false},
		{syscall.ENOSPC, true, false},
		{fmt.Errorf("tidwall/wal panicked: %w", errors.New("index out of range")), true, false},
	} {
		for bytes, want := range map[int]bool{walFileBytes: c.ended, 10: c.alone} {
			dir := t.TempDir()
			require.NoError(t, makeEmpty(OS{}, filepath.Join(dir, walName(1))))
			fs := &failing{}
			e, err := openEngine(fs, dir, walFileBytes, []codec.Index{1}, 0)
			require.NoError(t, err)
			fs.with = c.with
			err = e.append([]Entry{{Index: 1, Term: 1, Data: make([]byte, bytes)}}, 0)
			require.ErrorIs(t, err, c.with)
			require.Equal(t, want, IsSyncFailed(err), "%v with %d bytes", c.with, bytes)
			require.NoError(t, e.close())
		}
	}
}
