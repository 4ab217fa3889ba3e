package wal

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// incarnation numbers the logs that a replica has had: 0 is the one that
// Create made, and each Install begins another. Each has directories of its
// own, and the hard state says which number counts; so a log is replaced by
// the write of one slot, and nothing of an older one is ever taken for a part
// of a newer.
type incarnation uint64

// dir is the directory of kind: "wal" of the first incarnation, then "wal.1".
func (n incarnation) dir(replica, kind string) string {
	if n > 0 {
		kind = fmt.Sprintf("%s.%d", kind, uint64(n))
	}
	return filepath.Join(replica, kind)
}

var logKinds = []string{walDir, segmentDir, snapshotDir}

// create makes the directories of an empty log that begins behind entry
// before. Their own names are durable when the replica's directory is fsynced.
func (n incarnation) create(fs FS, replica string, h Hard) error {
	for _, kind := range logKinds {
		if err := fs.MkdirAll(n.dir(replica, kind)); err != nil {
			return err
		}
	}
	// An empty file whose name is an index makes that the library's first.
	wal := n.dir(replica, walDir)
	if err := makeEmpty(fs, filepath.Join(wal, walName(h.Before+1))); err != nil {
		return err
	}
	if err := fs.SyncDir(wal); err != nil {
		return &SyncFailed{err}
	}
	return nil
}

// goneSuffix marks a directory that is being removed: renamed first, so that
// who reads it sees all of it or nothing.
const goneSuffix = ".gone"

// removeOthers removes every log in replica but that of n: the one before it,
// or one that an Install did not finish. n must be durable in the hard state.
func (n incarnation) removeOthers(fs FS, replica string) error {
	names, err := fs.ReadDir(replica)
	if err != nil {
		return fmt.Errorf("list logs: %w", err)
	}
	for _, e := range names {
		name, leaving := strings.CutSuffix(e.Name, goneSuffix)
		of, ok := parseIncarnation(name)
		if !e.Dir || !ok || of == n && !leaving {
			continue
		}
		if err := removeLogDir(fs, filepath.Join(replica, name), leaving); err != nil {
			return fmt.Errorf("remove former log: %w", err)
		}
	}
	return nil
}

func removeLogDir(fs FS, dir string, leaving bool) error {
	if err := fs.RemoveAll(dir + goneSuffix); err != nil || leaving {
		return err
	}
	if err := fs.Rename(dir, dir+goneSuffix); err != nil {
		return err
	}
	return fs.RemoveAll(dir + goneSuffix)
}

// parseIncarnation reads the name of a directory that dir made.
func parseIncarnation(name string) (n incarnation, ok bool) {
	kind, number, numbered := strings.Cut(name, ".")
	if !slices.Contains(logKinds, kind) {
		return 0, false
	}
	if !numbered {
		return 0, true
	}
	v, err := strconv.ParseUint(number, 10, 64)
	return incarnation(v), err == nil && v > 0 && number[0] != '0'
}
