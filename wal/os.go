package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// OS is the real disk. The zero value is ready.
type OS struct{}

type osFile struct{ f *os.File }

// Open opens a file for reading and writing.
func (OS) Open(name string, create bool) (File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(name, flags, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// MkdirAll makes dir and its parents.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o750) }

// ReadDir lists dir sorted by name.
func (OS) ReadDir(dir string) ([]DirEntry, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := make([]DirEntry, 0, len(list))
	for _, e := range list {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // removed beside us
		}
		if err != nil {
			return nil, err
		}
		out = append(out, DirEntry{Name: e.Name(), Size: info.Size(), Dir: e.IsDir()})
	}
	return out, nil
}

// Remove removes one file or an empty directory.
func (OS) Remove(name string) error { return os.Remove(name) }

// RemoveAll removes a tree.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// Rename moves from to to, replacing it.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// SyncDir fsyncs the directory itself.
func (OS) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// Free asks the file system that holds dir.
func (OS) Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// Lock takes an exclusive flock on name, without waiting.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is held by another process: is a broker running on this directory?", name)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// Foreign just runs do.
func (OS) Foreign(_, _ string, do func() error) error { return do() }

func (f osFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }
func (f osFile) Truncate(size int64) error               { return f.f.Truncate(size) }
func (f osFile) Close() error                            { return f.f.Close() }

// vectorsMax is Linux's limit on the buffers of one call (UIO_MAXIOV).
const vectorsMax = 1024

// WriteAt writes all of bufs with as few calls as the kernel allows.
func (f osFile) WriteAt(off int64, bufs ...[]byte) error {
	rest := make([][]byte, 0, len(bufs))
	for _, b := range bufs {
		if len(b) > 0 {
			rest = append(rest, b)
		}
	}
	for len(rest) > 0 {
		n, err := f.pwritev(rest[:min(len(rest), vectorsMax)], off)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.f.Name(), err)
		}
		if n == 0 {
			return fmt.Errorf("write %s: %w", f.f.Name(), io.ErrShortWrite)
		}
		off += int64(n)
		rest = advance(rest, n)
	}
	return nil
}

func (f osFile) pwritev(bufs [][]byte, off int64) (n int, err error) {
	raw, err := f.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := raw.Control(func(fd uintptr) { n, err = unix.Pwritev(int(fd), bufs, off) }); cerr != nil {
		return 0, cerr
	}
	return n, err
}

// advance drops the first n bytes of bufs.
func advance(bufs [][]byte, n int) [][]byte {
	for n > 0 {
		if n < len(bufs[0]) {
			bufs[0] = bufs[0][n:]
			return bufs
		}
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	return bufs
}

// Allocate makes room; a file system that cannot is not an error.
func (f osFile) Allocate(off, n int64) error {
	raw, err := f.f.SyscallConn()
	if err != nil {
		return err
	}
	err = uninterrupted(raw, func(fd int) error { return unix.Fallocate(fd, 0, off, n) })
	if err == nil || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fmt.Errorf("allocate %s: %w", f.f.Name(), err)
}

// uninterrupted makes a call again that a signal ended.
func uninterrupted(raw syscall.RawConn, call func(fd int) error) (err error) {
	for {
		if cerr := raw.Control(func(fd uintptr) { err = call(int(fd)) }); cerr != nil {
			return cerr
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// WriteBack is sync_file_range. What it says is not looked at: a file system
// that cannot, or a disk that fails, is met again by Sync.
func (f osFile) WriteBack(off, n int64) {
	raw, err := f.f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE) })
}

// Sync is fdatasync: the bytes, and the size when it changed.
func (f osFile) Sync() error {
	raw, err := f.f.SyscallConn()
	if err != nil {
		return err
	}
	if err := uninterrupted(raw, unix.Fdatasync); err != nil {
		return fmt.Errorf("fdatasync %s: %w", f.f.Name(), err)
	}
	return nil
}

// Size is the length of the file in bytes.
func (f osFile) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
