package wal

import (
	"errors"
	"sync"
)

// SyncAll syncs files side by side: on most file systems two fsyncs at once cost
// hardly more than one, for they share a commit of its journal.
func (OS) SyncAll(files ...File) error {
	errs := make([]error, len(files))
	var others sync.WaitGroup
	for i := 1; i < len(files); i++ {
		others.Go(func() { errs[i] = files[i].Sync() })
	}
	if len(files) > 0 {
		errs[0] = files[0].Sync()
	}
	others.Wait()
	return errors.Join(errs...)
}
