package wal

import (
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// meeting is a file whose Sync ends when that of every other has begun: syncs
// one after the other never end.
type meeting struct {
	File
	all *sync.WaitGroup
	err error
}

func (m *meeting) Sync() error {
	m.all.Done()
	m.all.Wait()
	return m.err
}

func TestSyncAllIsSideBySideAndForgetsNoError(t *testing.T) {
	one, two := errors.New("the first failed"), errors.New("the second failed")
	for _, c := range [][]error{{}, {nil}, {one}, {nil, nil}, {one, nil}, {nil, two}, {one, two}} {
		synctest.Test(t, func(t *testing.T) {
			var all sync.WaitGroup
			all.Add(len(c))
			var files []File
			for _, err := range c {
				files = append(files, &meeting{all: &all, err: err})
			}
			got := OS{}.SyncAll(files...)
			for _, err := range c {
				if err != nil {
					require.ErrorIs(t, got, err)
				}
			}
			require.Equal(t, errors.Join(c...) == nil, got == nil)
		})
	}
}

// syncing is a disk that counts what is fsynced, and fails where it is told.
type syncing struct {
	OS
	files, dirs []string   // fsynced, by name
	begun       [][2]int64 // stretches of a segment that the disk was asked to begin with
	fails       string     // the name whose fsync fails
	with        error
}

type syncedFile struct {
	File
	fs   *syncing
	name string
}

func (s *syncing) Open(name string, create bool) (File, error) {
	f, err := s.OS.Open(name, create)
	if err != nil {
		return nil, err
	}
	return &syncedFile{f, s, name}, nil
}

func (s *syncing) SyncDir(dir string) error {
	s.dirs = append(s.dirs, filepath.Base(dir))
	if filepath.Base(dir) == s.fails {
		return s.with
	}
	return s.OS.SyncDir(dir)
}

func (f *syncedFile) Sync() error {
	f.fs.files = append(f.fs.files, filepath.Base(f.name))
	if filepath.Base(f.name) == f.fs.fails {
		return f.fs.with
	}
	return f.File.Sync()
}

func (f *syncedFile) WriteBack(off, n int64) {
	f.fs.begun = append(f.fs.begun, [2]int64{off, off + n})
	f.File.WriteBack(off, n)
}

// SyncAll is in order here: what is counted is not shared.
func (s *syncing) SyncAll(files ...File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Sync())
	}
	return err
}

// What Write fsyncs: both files, and the names of those that are new.
func TestWriteSyncsBothFilesAndNewNames(t *testing.T) {
	b := newBench(t, Options{SegmentBytes: 1000, WALFileBytes: 600})
	require.NoError(t, b.Log.Close())
	fs := &syncing{}
	var err error
	b.Opened, err = Open(fs, b.dir, b.opts, nil)
	require.NoError(t, err)
	put := func(records int) (files, dirs []string) {
		fs.files, fs.dirs = nil, nil
		b.put(1, records, 100)
		return fs.files, fs.dirs
	}
	files, dirs := put(1)
	require.Equal(t, []string{walName(2), segmentName(0)}, files)
	require.Equal(t, []string{segmentDir}, dirs)
	files, dirs = put(1)
	require.Equal(t, []string{walName(2), segmentName(0)}, files)
	require.Empty(t, dirs)
	_, dirs = put(9) // a segment of its own
	require.Equal(t, []string{segmentDir}, dirs)
	for len(b.Log.wal.files) == 1 {
		_, dirs = put(1)
	}
	require.Contains(t, dirs, walDir)
	require.NoError(t, b.Log.Close())
}

// Whichever fsync fails, the write fails by it, and nothing is written any more;
// a full disk that an fsync reports is no disk to wait for.
func TestEitherSyncThatFailsEndsTheLog(t *testing.T) {
	for _, fails := range []string{walName(2), segmentName(0), segmentDir} {
		for _, with := range []error{syscall.EIO, syscall.ENOSPC} {
			b := newBench(t, Options{})
			require.NoError(t, b.Log.Close())
			fs := &syncing{}
			var err error
			b.Opened, err = Open(fs, b.dir, b.opts, nil)
			require.NoError(t, err)
			fs.fails, fs.with = fails, with
			w := &Write{Entries: []Entry{batchEntry(2, 2, batch(t, 0, 2, 1, 100))}}
			err = b.Log.Write(w)
			require.ErrorIs(t, err, with, fails)
			require.True(t, IsSyncFailed(err), fails)
			require.False(t, IsFull(err), fails)
			fs.fails = ""
			require.ErrorIs(t, b.Log.Write(&Write{}), ErrClosed, fails)
			require.ErrorIs(t, b.Log.Rest(2), ErrClosed, fails)
			require.NoError(t, b.Log.Close())
		}
	}
}

// Without fsync the disk is asked to begin with each stretch once, and never
// with what is not written yet; with fsync it needs not be asked.
func TestTheDiskIsAskedToBegin(t *testing.T) {
	for _, noSync := range []bool{true, false} {
		b := newBench(t, Options{NoSync: noSync, SegmentBytes: 10 << 20})
		require.NoError(t, b.Log.Close())
		fs := &syncing{}
		var err error
		b.Opened, err = Open(fs, b.dir, b.opts, nil)
		require.NoError(t, err)
		segment := b.Log.seg.base
		for range 24 {
			asked := len(fs.begun)
			b.put(1, 1, 1<<20)
			if b.Log.seg.base != segment {
				segment = b.Log.seg.base
				fs.begun = nil
				continue
			}
			if len(fs.begun) == asked {
				continue
			}
			from := int64(0)
			for _, s := range fs.begun {
				require.Equal(t, from, s[0])
				from = s[1]
			}
			require.Equal(t, b.Log.seg.position, from)
		}
		require.Equal(t, noSync, len(fs.begun) > 0)
		require.NoError(t, b.Log.Close())
	}
}
