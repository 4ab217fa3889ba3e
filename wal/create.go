package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// Create makes the directory of a new replica, whole or not at all: its log
// begins behind entry h.Before. The parent must exist.
func Create(fs FS, dir string, h Hard) error {
	if _, err := fs.ReadDir(dir); err == nil {
		return fmt.Errorf("create log: %s exists", dir)
	}
	fresh := dir + ".new"
	if err := fs.RemoveAll(fresh); err != nil {
		return fmt.Errorf("create log: %w", err)
	}
	if err := createIn(fs, fresh, h); err != nil {
		return fmt.Errorf("create log %s: %w", dir, err)
	}
	if err := fs.Rename(fresh, dir); err != nil {
		return fmt.Errorf("create log: %w", err)
	}
	if codec.Mutant("names-not-synced") {
		return nil
	}
	if err := fs.SyncDir(filepath.Dir(dir)); err != nil {
		return &NamesFailed{&SyncFailed{fmt.Errorf("create log: %w", err)}}
	}
	return nil
}

func createIn(fs FS, dir string, h Hard) (err error) {
	if err := incarnation(h.Log).create(fs, dir, h); err != nil {
		return err
	}
	f, err := fs.Open(filepath.Join(dir, hardName), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hard := &hardFile{file: f, name: hardName}
	if err := hard.both(h); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

func makeEmpty(fs FS, name string) error {
	f, err := fs.Open(name, true)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// Exists says whether dir holds a log that Create finished.
func Exists(fs FS, dir string) (bool, error) {
	_, err := fs.ReadDir(dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
