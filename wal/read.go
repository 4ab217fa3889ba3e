package wal

import (
	"errors"
	"io"
)

// readFull reads len(p) bytes at off, or as many as there are.
func readFull(f io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// readFile reads a whole file.
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
