package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// Opened is what Open found.
type Opened struct {
	Log      *Log
	Index    *Index
	Hard     Hard
	Snapshot *Snapshot // the newest that holds; nil without one

	// Cut is the number of entries of the last unsynced group that did not
	// hold and were cut away. Were any of them acknowledged, then the disk
	// damaged its newest bytes while nothing had been written behind them:
	// the one case that cannot be told from a torn write. An end that reads as
	// zeros counts as one entry, when a batch still tells of it.
	Cut int

	// Mended says what did not hold and had a copy: a slot of the hard state, which
	// a crash may have torn, or a snapshot, which the disk damaged.
	Mended []string
}

// recovery is one Open at work.
type recovery struct {
	fs    FS
	dir   string
	opts  Options
	visit func(*Entry)
	hard  *hardFile
	read  Hard // as it was on the disk
	x     *Index

	files  []codec.Index
	proven codec.Index // entries up to it were fsynced: the disk said so
	tail   []found     // entries above proven, in order
	good   int64       // end of the last whole entry of the last file
	room   bool        // zeros follow it
	left   bool        // a batch without an entry follows the last
	cut    int
	mended []string
}

// Open finds again what was made durable in dir. Entries that hold, but were
// written in a group whose fsync was not proved, are written once more and
// fsynced before Open returns: a page cache that lost an fsync calls its
// pages clean. visit, when given, sees each committed entry in order.
// Errors: Corrupt when something that was durable does not hold, or the
// disk's.
func Open(fs FS, dir string, o Options, visit func(*Entry)) (*Opened, error) {
	r := &recovery{fs: fs, dir: dir, opts: o.withDefaults(), visit: visit}
	finished := false
	defer func() {
		if !finished && r.hard != nil { // a broken invariant passes through here
			_ = r.hard.file.Close()
		}
	}()
	opened, err := r.open()
	finished = true
	if errors.Is(err, iofs.ErrNotExist) {
		err = corruptf(dir, -1, "a file that must be there is missing: %v", err)
	}
	if err != nil {
		if r.hard != nil {
			err = errors.Join(err, r.hard.file.Close())
		}
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	return opened, nil
}

func (r *recovery) open() (o *Opened, err error) {
	why, err := quarantined(r.fs, r.dir)
	if err != nil {
		return nil, err
	}
	if why != "" {
		return nil, corruptf(filepath.Join(r.dir, quarantineName), -1, "it was found damaged before: %s", why)
	}
	if r.hard, err = openHard(r.fs, filepath.Join(r.dir, hardName)); err != nil {
		return nil, err
	}
	r.read = r.hard.now
	if !r.hard.whole() {
		r.mended = append(r.mended, "one slot of "+r.hard.name+" did not hold, and was written anew from the other")
	}
	// Nothing is removed for what is perhaps not durable.
	if err := r.hard.confirm(); err != nil {
		return nil, err
	}
	snap, damage, err := newestSnapshot(r.fs, r.path(snapshotDir), r.hard.now.Before)
	if err != nil {
		return nil, err
	}
	if damage != nil {
		r.mended = append(r.mended, "the snapshot before it was taken: "+damage.Error())
	}
	if snap != nil {
		// A snapshot is of committed entries, and was made durable behind them.
		r.hard.now.Commit = max(r.hard.now.Commit, snap.Index)
	}
	h := r.hard.now
	r.proven = max(h.Durable, h.Before, h.Commit)
	r.x = newIndex(r.fs, r.dir, h, r.opts)
	if err := r.finishTruncation(); err != nil {
		return nil, err
	}
	if err := r.scan(); err != nil {
		return nil, err
	}
	if err := r.checkPayloads(); err != nil {
		return nil, err
	}
	if last := r.x.Last(); last < max(h.Commit, h.Durable) {
		return nil, corruptf(r.path(walDir), -1, "the log ends at entry %d, but entry %d was durable", last, max(h.Commit, h.Durable))
	}
	if err := r.lookBehind(); err != nil {
		return nil, err
	}
	if err := r.checkSegments(); err != nil {
		return nil, err
	}
	r.x.own()
	log, err := r.writer()
	if err != nil {
		return nil, err
	}
	return &Opened{Log: log, Index: r.x, Hard: log.hard.now, Snapshot: snap, Cut: r.cut, Mended: r.mended}, nil
}

// path is a directory of the log that the hard state names.
func (r *recovery) path(kind string) string {
	return incarnation(r.hard.now.Log).dir(r.dir, kind)
}

// finishTruncation completes what the library began when it cut the log: a
// file X.END was whole and durable before it got its name, so files from X on
// go and it takes X's place. Temporary files go.
func (r *recovery) finishTruncation() error {
	dir := r.path(walDir)
	files, left, err := listWAL(r.fs, dir)
	if err != nil {
		return err
	}
	for _, name := range left {
		stem, end := strings.CutSuffix(name, ".END")
		first, ok := parseWALName(stem)
		switch {
		case strings.HasSuffix(name, ".TEMP"):
			err = r.fs.Remove(filepath.Join(dir, name))
		case end && ok:
			err = r.finishEnd(dir, name, first, files)
		default:
			err = corruptf(filepath.Join(dir, name), -1, "no call of ours leaves such a file")
		}
		if err != nil {
			return fmt.Errorf("finish truncation: %w", err)
		}
	}
	if len(left) > 0 {
		if err := r.fs.SyncDir(dir); err != nil {
			return &SyncFailed{err}
		}
	}
	if r.files, _, err = listWAL(r.fs, dir); err != nil {
		return err
	}
	if len(r.files) == 0 {
		return corruptf(dir, -1, "there is no WAL file")
	}
	return nil
}

func (r *recovery) finishEnd(dir, name string, first codec.Index, files []codec.Index) error {
	for i := len(files) - 1; i >= 0 && files[i] >= first; i-- {
		if err := r.fs.Remove(filepath.Join(dir, walName(files[i]))); err != nil {
			return err
		}
	}
	return r.fs.Rename(filepath.Join(dir, name), filepath.Join(dir, walName(first)))
}

// scan reads all descriptors and fills the index.
func (r *recovery) scan() error {
	if r.files[0] > r.x.before+1 {
		return corruptf(r.path(walDir), -1, "the first WAL file begins at entry %d, want %d or before", r.files[0], r.x.before+1)
	}
	next := r.files[0]
	for i, first := range r.files {
		name := filepath.Join(r.path(walDir), walName(first))
		if first != next {
			return corruptf(name, -1, "the file before it ends at entry %d", next-1)
		}
		p, err := readFile(r.fs, name)
		if err != nil {
			return fmt.Errorf("read WAL: %w", err)
		}
		good, bad, err := walkWAL(p, first, func(f found) error { next = f.Index + 1; return r.meet(f) })
		if err != nil {
			return err
		}
		if bad == nil {
			r.good, r.room = good, good < int64(len(p))
			continue
		}
		// The library fsyncs a file before it makes the next, so a bad entry
		// before the last file was durable.
		if behind := provedBehind(p[good:], next); i+1 < len(r.files) || next <= r.proven || behind >= next {
			return &Corrupt{File: name, At: good, Why: bad.Error()}
		}
		r.good, r.room = good, false
		r.cut++
	}
	return nil
}

// meet takes in one whole entry.
func (r *recovery) meet(f found) error {
	if f.Index <= r.x.before {
		return nil
	}
	if term, _ := r.x.Term(r.x.Last()); f.Term < term {
		return corruptf(r.path(walDir), f.At, "entry %d has term %d behind term %d", f.Index, f.Term, term)
	}
	run, ok, err := f.batches()
	if err != nil {
		return corruptf(r.path(walDir), f.At, "entry %d: %v", f.Index, err)
	}
	if ok && run.Base() != r.x.Next() {
		return corruptf(r.path(walDir), f.At, "entry %d has base offset %d, want %d", f.Index, run.Base(), r.x.Next())
	}
	if ok && !r.x.follows(f.Place, run.Base()) {
		return corruptf(r.path(walDir), f.At, "entry %d says that its batch lies at byte %d of segment %d, which does not follow from the one before", f.Index, f.Place.Position, f.Place.Segment)
	}
	e := f.Entry
	r.x.Add([]Entry{e})
	if e.Index <= r.hard.now.Commit {
		r.x.Commit(e.Index)
		if r.visit != nil {
			r.visit(&e)
		}
	}
	if f.Synced > r.proven {
		r.proven = f.Synced
		r.tail = r.tail[:0:0]
	}
	if f.Index > r.proven {
		r.tail = append(r.tail, f)
	}
	return nil
}

// checkPayloads verifies the batches of the last group, whose fsync nothing
// proves, and cuts the log before the first that does not hold.
func (r *recovery) checkPayloads() error {
	for i := range r.tail {
		why, err := r.checkPayload(&r.tail[i].Entry)
		if err != nil {
			return err
		}
		if why == nil {
			continue
		}
		r.cut += len(r.tail) - i
		bad := r.tail[i]
		r.x.truncate(bad.Index)
		r.tail, r.good = r.tail[:i], bad.At
		return r.dropFilesFrom(bad.Index)
	}
	return nil
}

// dropFilesFrom removes the WAL files that begin above index: the group that
// is cut there went on into them. They are gone for good before the file that
// holds index is cut, so that no gap can ever be seen.
func (r *recovery) dropFilesFrom(index codec.Index) error {
	dir := r.path(walDir)
	n := len(r.files)
	for n > 1 && r.files[n-1] > index {
		n--
		if err := r.fs.Remove(filepath.Join(dir, walName(r.files[n]))); err != nil {
			return fmt.Errorf("cut last group: %w", err)
		}
	}
	if n == len(r.files) {
		return nil
	}
	r.files = r.files[:n]
	if err := r.fs.SyncDir(dir); err != nil {
		return &SyncFailed{err}
	}
	return nil
}

// checkPayload says why a batch of e does not hold; nil when all do.
func (r *recovery) checkPayload(e *Entry) (why, err error) {
	run, ok, err := e.batches()
	if !ok || err != nil {
		return err, nil
	}
	epoch, fits := codec.EpochOf(e.Term)
	if !fits {
		return nil, corruptf(r.path(walDir), -1, "entry %d has term %d", e.Index, e.Term)
	}
	b, err := readPayload(r.fs, r.path(segmentDir), e.Place, run.Bytes())
	if errors.Is(err, iofs.ErrNotExist) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	return run.Matches(b, epoch), nil
}

// readPayload reads what lies at p, or as much of it as there is.
func readPayload(fs FS, dir string, p Place, size int) (b []byte, err error) {
	f, err := fs.Open(filepath.Join(dir, segmentName(p.Segment)), false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b = make([]byte, size)
	n, err := readFull(f, b, p.Position)
	return b[:n], err
}
