package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"strconv"

	"github.com/tidwall/wal"

	"github.com/troupe-mq/troupe/codec"
)

// engine is the WAL of descriptors: tidwall/wal, used so that none of its
// faults can show. It has no checksums, so entries carry their own; it cannot
// open a torn file, so repair runs before it opens; it panics on concurrent
// reads, so it is never read; it lies after a failed write, so any error ends
// the engine; it fsyncs no directory, and under its lock, so the engine fsyncs
// through descriptors of its own.
type engine struct {
	fs    FS
	dir   string
	lib   *wal.Log
	batch wal.Batch
	buf   []byte

	fileBytes int64         // when the library begins another file
	files     []codec.Index // first index of each file, ascending; the last file is the tail
	tail      File          // our own descriptor of the tail, for fsync
	tailBytes int64         // of entries
	room      int64         // bytes that the tail has, zeros behind the entries included
	rolled    bool          // a file was filled since the engine was opened
	last      codec.Index
	namesNew  bool // a file was made whose name is not durable yet
}

// walFileBytes is when the library begins another file, unless told
// otherwise. It keeps the tail in memory, so a file is small: a thousand idle
// logs with full tails take 300 MB. At a hundred bytes an entry it holds two
// and a half thousand batches.
const walFileBytes = 256 << 10

func walName(first codec.Index) string { return fmt.Sprintf("%020d", first) }

// parseWALName reads the name of a WAL file.
func parseWALName(name string) (first codec.Index, ok bool) {
	if len(name) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 10, 64)
	return codec.Index(n), err == nil && n > 0
}

// openEngine opens a directory that repair has left clean: files is what it
// found there, last the index of the last entry.
func openEngine(fs FS, dir string, fileBytes int64, files []codec.Index, last codec.Index) (*engine, error) {
	e := &engine{fs: fs, dir: dir, fileBytes: fileBytes, files: files, last: last}
	err := fs.Foreign(dir, "open", func() (err error) {
		defer recovered(&err)
		e.lib, err = wal.Open(dir, &wal.Options{
			NoSync: true, SegmentSize: int(fileBytes), LogFormat: wal.Binary, SegmentCacheSize: 1,
			NoCopy: true, AllowEmpty: true, DirPerms: 0o750, FilePerms: 0o640,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open WAL %s: %w", dir, err)
	}
	if got, err := e.lib.LastIndex(); err != nil || codec.Index(got) != last {
		return nil, errors.Join(fmt.Errorf("open WAL %s: the library sees last index %d, the scan saw %d", dir, got, last), err, e.close())
	}
	if err := e.openTail(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// recovered turns a panic of the library into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		if lib, ok := r.(error); ok {
			*err = fmt.Errorf("tidwall/wal panicked: %w", lib)
			return
		}
		panic(r)
	}
}

func (e *engine) openTail() (err error) {
	if e.tail != nil {
		if err := e.tail.Close(); err != nil {
			return fmt.Errorf("close WAL file: %w", err)
		}
		e.tail = nil
	}
	name := filepath.Join(e.dir, walName(e.files[len(e.files)-1]))
	if e.tail, err = e.fs.Open(name, false); err != nil {
		return fmt.Errorf("open WAL tail: %w", err)
	}
	if e.tailBytes, err = e.tail.Size(); err != nil {
		return fmt.Errorf("size of WAL tail: %w", err)
	}
	e.room = e.tailBytes
	return nil
}

// beforeSync says that err is known to be of a call that is no fsync, such as
// a write to a full disk: an fsync that fails says so by its name.
func beforeSync(err error) bool {
	var call *iofs.PathError
	return errors.As(err, &call) && (call.Op == "write" || call.Op == "open")
}

// append writes entries behind the last; they are durable after sync.
func (e *engine) append(entries []Entry, synced codec.Index) error {
	rolled := false
	e.batch.Clear()
	for i := range entries {
		e.buf = appendEntry(e.buf[:0], &entries[i], synced)
		e.batch.Write(uint64(entries[i].Index), e.buf)
		rolled = e.grew(entries[i].Index, len(e.buf)) || rolled
	}
	err := e.fs.Foreign(e.dir, "append", func() (err error) {
		defer recovered(&err)
		return e.lib.WriteBatch(&e.batch)
	})
	if err != nil && rolled && !beforeSync(err) {
		// The library fsyncs a file that it ends: it may be that which failed.
		return &SyncFailed{fmt.Errorf("append to WAL, ending a file: %w", err)}
	}
	if err != nil {
		return fmt.Errorf("append to WAL: %w", err)
	}
	e.last = entries[len(entries)-1].Index
	if !rolled {
		e.room = max(e.room, e.tailBytes)
		return nil
	}
	e.rolled = true
	if err := e.lib.ClearCache(); err != nil {
		return fmt.Errorf("clear cache of WAL: %w", err)
	}
	mirrored := e.tailBytes
	if err := e.openTail(); err != nil {
		return err
	}
	if e.tailBytes != mirrored {
		panic(fmt.Sprintf("wal: tail of %s has %d bytes, the mirror of the library's roll rule says %d", e.dir, e.tailBytes, mirrored))
	}
	e.namesNew = true
	return nil
}

// grew mirrors the library's rule for beginning another file: behind the
// entry that fills one, or before the first entry when the tail that was
// opened is over-full.
func (e *engine) grew(index codec.Index, n int) (rolled bool) {
	if e.tailBytes > e.fileBytes {
		e.files, e.tailBytes, rolled = append(e.files, index), 0, true
	}
	e.tailBytes += int64(uvarintLen(n) + n)
	if e.tailBytes >= e.fileBytes {
		e.files, e.tailBytes, rolled = append(e.files, index+1), 0, true
	}
	return rolled
}

func uvarintLen(n int) int {
	var p [binary.MaxVarintLen64]byte
	return binary.PutUvarint(p[:], uint64(n))
}

// sync makes all that was appended durable. Files that the library left
// behind it fsynced itself.
func (e *engine) sync() error {
	if err := e.tail.Sync(); err != nil {
		return &SyncFailed{err}
	}
	return e.synced()
}

// synced goes on when the tail was fsynced: names are made durable too.
func (e *engine) synced() error {
	if !e.namesNew {
		return nil
	}
	if err := e.fs.SyncDir(e.dir); err != nil {
		return &SyncFailed{err}
	}
	e.namesNew = false
	return nil
}

// truncateBack cuts all entries above last, durably.
func (e *engine) truncateBack(last codec.Index) error {
	err := e.fs.Foreign(e.dir, "truncate", func() (err error) {
		defer recovered(&err)
		return e.lib.TruncateBack(uint64(last))
	})
	if err != nil {
		return fmt.Errorf("truncate WAL: %w", err)
	}
	if err := e.fs.SyncDir(e.dir); err != nil {
		return &SyncFailed{err}
	}
	e.last = last
	for len(e.files) > 1 && e.files[len(e.files)-1] > last {
		e.files = e.files[:len(e.files)-1]
	}
	return e.openTail()
}

// dropThrough unlinks the files that hold only entries below index. The tail
// stays, and so does entry index: a cut may leave it the last. The library does
// not learn of it and needs not: it never reads them.
func (e *engine) dropThrough(index codec.Index) error {
	n := 0
	for n+1 < len(e.files) && e.files[n+1] <= index {
		if err := e.fs.Remove(filepath.Join(e.dir, walName(e.files[n]))); err != nil {
			return fmt.Errorf("drop WAL file: %w", err)
		}
		n++
	}
	if n == 0 {
		return nil
	}
	e.files = append([]codec.Index(nil), e.files[n:]...)
	if err := e.fs.SyncDir(e.dir); err != nil {
		return &SyncFailed{err}
	}
	return nil
}

// close lets go of everything; nothing is made durable.
func (e *engine) close() error {
	var errs []error
	if e.tail != nil {
		errs = append(errs, e.tail.Close())
		e.tail = nil
	}
	if e.lib != nil {
		// The library fsyncs its tail when it closes. The result says nothing
		// that was promised, but a failure would leak its descriptor.
		errs = append(errs, e.fs.Foreign(e.dir, "close", e.lib.Close))
		e.lib = nil
	}
	return errors.Join(errs...)
}
