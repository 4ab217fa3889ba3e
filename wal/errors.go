package wal

import (
	"errors"
	"fmt"
	"syscall"
)

// Corrupt says that a file holds something other than what was made durable
// in it. The replica is quarantined; nothing of the file is served.
type Corrupt struct {
	File string
	At   int64 // byte position in File, -1 when the whole file is meant
	Why  string
}

// Error names the file, the place and the reason.
func (c *Corrupt) Error() string {
	if c.At < 0 {
		return fmt.Sprintf("damaged file %s: %s", c.File, c.Why)
	}
	return fmt.Sprintf("damaged file %s at byte %d: %s", c.File, c.At, c.Why)
}

func corruptf(file string, at int64, format string, args ...any) *Corrupt {
	return &Corrupt{File: file, At: at, Why: fmt.Sprintf(format, args...)}
}

// IsCorrupt says whether err is, or wraps, a Corrupt.
func IsCorrupt(err error) bool {
	var c *Corrupt
	return errors.As(err, &c)
}

// SyncFailed wraps the error of a failed fsync: what the page cache holds is
// no longer known to be on the disk, so the log is never used again.
type SyncFailed struct{ Err error }

// Error says which promise could not be kept.
func (s *SyncFailed) Error() string { return "fsync failed: " + s.Err.Error() }

// Unwrap is the disk's own error.
func (s *SyncFailed) Unwrap() error { return s.Err }

// IsSyncFailed says whether err is, or wraps, a SyncFailed.
func IsSyncFailed(err error) bool {
	var s *SyncFailed
	return errors.As(err, &s)
}

// NamesFailed means that an fsync of the data directory failed: which logs are there after
// a power cut nobody can tell any more, and no later fsync of this process does. Err is a
// SyncFailed.
type NamesFailed struct{ Err error }

// Error says what the disk said.
func (n *NamesFailed) Error() string { return "the names of logs are not durable: " + n.Err.Error() }

// Unwrap is the SyncFailed.
func (n *NamesFailed) Unwrap() error { return n.Err }

// IsNamesFailed says whether err is, or wraps, a NamesFailed.
func IsNamesFailed(err error) bool {
	var n *NamesFailed
	return errors.As(err, &n)
}

// IsFull says whether err means that the disk has no room, and that the
// failed call was a write: an fsync that reports a full disk is a SyncFailed.
func IsFull(err error) bool {
	return !IsSyncFailed(err) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// IsExhausted says whether err means that the process or the machine has no
// file descriptors left. Nothing is wrong with the disk then: the log is to be
// opened again when there are some.
func IsExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// ErrClosed answers calls on a log that was closed, or that an earlier error
// has ended.
var ErrClosed = errors.New("log is closed")
