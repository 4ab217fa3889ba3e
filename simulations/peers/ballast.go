package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ballast is a file of holes that is read before each repetition, so that the
// page cache is full, as on any machine that has served for a day. On a machine
// with much free memory, a virtual one above all, what is written first pays for
// pages that were never touched, and one repetition pays more than the next.
type ballast struct {
	file *os.File
	size int64
}

func newBallast(dir string) (*ballast, error) {
	free, err := memAvailable()
	if err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		return nil, err
	}
	b := &ballast{f, free}
	return b, f.Truncate(b.size)
}

func memAvailable() (bytes int64, err error) {
	p, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(p), "MemAvailable:")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	return kib << 10, err
}

// fill reads the file through.
func (b *ballast) fill() error {
	if b == nil {
		return nil
	}
	_, err := io.CopyBuffer(onlyWriter{io.Discard}, io.NewSectionReader(b.file, 0, b.size), make([]byte, 1<<20))
	if err != nil {
		return fmt.Errorf("fill the page cache: %w", err)
	}
	return nil
}

// empty gives the pages back.
func (b *ballast) empty() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.file.Truncate(0), b.file.Truncate(b.size))
}

// onlyWriter hides Discard's ReadFrom, which has its own small buffer.
type onlyWriter struct{ io.Writer }

func (b *ballast) close() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.file.Close(), os.Remove(b.file.Name()))
}
