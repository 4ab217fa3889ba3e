package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// readFull reads len(p) bytes at off, or as many as there are.
func readFull(f io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// ReadFile reads a whole file.
func ReadFile(fs FS, name string) ([]byte, error) { return readFile(fs, name) }

// WriteFile makes a file with the bytes p, durable, whole or not at all.
func WriteFile(fs FS, name string, p []byte) error {
	if err := writeWhole(fs, name+".new", p); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fs.Rename(name+".new", name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fs.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, &SyncFailed{err})
	}
	return nil
}

func readFile(fs FS, name string) (p []byte, err error) {
	f, err := fs.Open(name, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p = make([]byte, size)
	n, err := readFull(f, p, 0)
	return p[:n], err
}

// MakeDir makes dir and its parents, durably: a file that was fsynced is lost
// all the same when the name of a directory above it is not.
func MakeDir(fs FS, dir string) error {
	var fresh []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		there, err := Exists(fs, d)
		if err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
		if there || d == filepath.Dir(d) {
			break
		}
		fresh = append(fresh, d)
	}
	if err := fs.MkdirAll(dir); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	// Names that were there may have been made by a process that was killed
	// before it fsynced them. Above the nearest, where this process may not be
	// allowed to, it is enough to try.
	nearest := filepath.Dir(filepath.Clean(dir))
	for d := nearest; ; d = filepath.Dir(d) {
		err := fs.SyncDir(d)
		if err != nil && (d == nearest || slices.Contains(fresh, d)) {
			return fmt.Errorf("make directory: %w", &SyncFailed{err})
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
