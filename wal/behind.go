package wal

import (
	"errors"
	iofs "io/fs"

	"github.com/troupe-mq/troupe/codec"
)

// lookBehind looks for a batch behind the last that an entry stands for, when
// the WAL ends in zeros: they are room made ahead, or an entry that did not
// arrive, or that rotted since. Of the last two the batch may tell; then the end
// of the log is cut, and counted.
func (r *recovery) lookBehind() error {
	if !r.room || r.cut > 0 {
		return nil
	}
	for _, p := range []Place{{r.x.active.base, r.x.active.bytes}, {r.x.next, 0}} {
		b, err := readPayload(r.fs, r.path(segmentDir), p, codec.BatchHeaderBytes)
		if errors.Is(err, iofs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !allZero(b) {
			r.left, r.cut = true, 1
			return nil
		}
	}
	return nil
}
