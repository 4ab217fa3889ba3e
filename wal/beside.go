package wal

import (
	"errors"
	iofs "io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/troupe-mq/troupe/codec"
)

// besideTries bounds how often files are listed again that changed while they
// were read: each change is a step of one cut, and those are few.
const besideTries = 64

// readBeside reads entries [lo, hi) of the WAL in dir as readEntries does,
// while the writer may append, cut what is above them, retain, or install a
// snapshot. What changed while it was read is read again, so nothing half
// done is taken for damage. ErrGone when the log holds entry lo no longer, or is
// cut so often that nothing can be said.
func readBeside(fs FS, dir string, cuts *cuts, lo, hi codec.Index, maxBytes uint64) (out []Entry, err error) {
	for range besideTries {
		before := cuts.look()
		files, lerr := listBeside(fs, dir)
		if lerr != nil {
			return nil, lerr
		}
		if files[0].first > lo {
			return nil, ErrGone
		}
		out, err = readFiles(fs, dir, files, lo, hi, maxBytes)
		if err == nil {
			return out, nil
		}
		if errors.Is(err, iofs.ErrNotExist) {
			continue // it has another name by now, or none
		}
		if !cuts.none(before) {
			err = ErrGone // unless it is there at another look
			continue
		}
		if again, lerr := listBeside(fs, dir); lerr != nil || slices.Equal(again, files) {
			break
		}
	}
	if errors.Is(err, errAbsent) && len(out) > 0 {
		return out, nil
	}
	if errors.Is(err, errAbsent) || errors.Is(err, iofs.ErrNotExist) {
		return nil, ErrGone
	}
	return nil, err
}

// cuts counts the cuts of a log, twice each: when it begins and when it is over.
// What lies in files of the same names may be something else behind a cut.
type cuts struct{ n atomic.Uint64 }

// cutting is called before a cut, and what it returns behind it.
func (c *cuts) cutting() (over func()) {
	c.n.Add(1)
	return func() { c.n.Add(1) }
}

func (c *cuts) look() uint64 { return c.n.Load() }

// none says that no cut was under way at a look, and none has begun since.
func (c *cuts) none(since uint64) bool { return since%2 == 0 && c.n.Load() == since }

// listBeside names the files of dir that make the log at this moment, at least
// one. Where the library is cutting, X.END is whole and stands for file X and
// those behind it.
func listBeside(fs FS, dir string) ([]walFile, error) {
	for range besideTries {
		firsts, left, err := listWAL(fs, dir)
		if errors.Is(err, iofs.ErrNotExist) {
			return nil, ErrGone
		}
		if err != nil {
			return nil, err
		}
		files := walFiles(firsts)
		for _, name := range left {
			stem, cut := strings.CutSuffix(name, ".END")
			if first, ok := parseWALName(stem); cut && ok {
				n, _ := slices.BinarySearchFunc(files, first, func(f walFile, at codec.Index) int { return int(f.first) - int(at) })
				files = append(files[:n], walFile{first, name})
			}
		}
		if len(files) > 0 {
			return files, nil
		}
	}
	return nil, corruptf(dir, -1, "there is no WAL file")
}
