package wal

import "io"

// FS is the handful of disk calls that a log makes. The real one is OS; the
// simulated world has another, which remembers what was fsynced, fails calls
// and crashes. Names are whole paths.
type FS interface {
	// Open opens a file for reading and writing, making it when create is set.
	Open(name string, create bool) (File, error)
	// MkdirAll makes dir and its parents; making them durable is the caller's.
	MkdirAll(dir string) error
	// ReadDir lists dir sorted by name. A dir that is not there is an error
	// that errors.Is(err, fs.ErrNotExist).
	ReadDir(dir string) ([]DirEntry, error)
	Remove(name string) error
	// RemoveAll removes a tree; one that is not there is no error.
	RemoveAll(name string) error
	Rename(from, to string) error
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// SyncAll is Sync of each file, side by side where the disk can do that: it
	// returns when all of them ended, with the errors of those that failed.
	SyncAll(files ...File) error
	// Free is the number of bytes that can still be written below dir.
	Free(dir string) (int64, error)
	// Lock takes name for this process alone until the result is closed.
	Lock(name string) (io.Closer, error)
	// Foreign runs do, in which a library changes files of dir by calls of its
	// own. what names it: "append", "truncate", "open". It returns what do
	// returns, or an error in place of all or the end of do's effects.
	Foreign(dir, what string, do func() error) error
}

// File is one open file of an FS.
type File interface {
	io.ReaderAt
	// WriteAt writes all of bufs one behind the other from off on, or fails.
	WriteAt(off int64, bufs ...[]byte) error
	// Allocate makes room for [off, off+n), read as zeros; the file grows.
	Allocate(off, n int64) error
	Truncate(size int64) error
	// WriteBack asks for [off, off+n) to be on its way to the disk. It promises
	// nothing: it is a hint, so that a later Sync has less to do.
	WriteBack(off, n int64)
	// Sync returns when the file's bytes and its size are durable.
	Sync() error
	Size() (int64, error)
	Close() error
}

// DirEntry is one name in a directory.
type DirEntry struct {
	Name string
	Size int64
	Dir  bool
}
