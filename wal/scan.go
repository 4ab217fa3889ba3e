package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// found is one entry as a scan meets it.
type found struct {
	Entry
	Synced codec.Index
	At     int64 // of its length in the file
	End    int64 // behind it
}

// listWAL names the WAL files of dir by first index, and the names beside
// them that a truncation of the library left.
func listWAL(fs FS, dir string) (files []codec.Index, left []string, err error) {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list WAL: %w", err)
	}
	for _, n := range names {
		if first, ok := parseWALName(n.Name); ok {
			files = append(files, first)
		} else if strings.HasSuffix(n.Name, ".END") || strings.HasSuffix(n.Name, ".START") || strings.HasSuffix(n.Name, ".TEMP") {
			left = append(left, n.Name)
		}
	}
	return files, left, nil
}

// errStop ends a walk without being an error.
var errStop = errors.New("stop")

// walkWAL calls visit for the entries in the bytes p of the file that begins
// at index first. It returns the position behind the last good entry, and why
// the bytes behind that are no entry; nil when there are none but zeros, which
// are room made ahead. An error of visit ends the walk and is returned as err.
func walkWAL(p []byte, first codec.Index, visit func(found) error) (good int64, bad, err error) {
	next := first
	for at := 0; at < len(p); {
		if allZero(p[at:]) { // no entry begins with one
			return int64(at), nil, nil
		}
		n, w := binary.Uvarint(p[at:])
		if w <= 0 || n > uint64(len(p)-at-w) {
			return int64(at), fmt.Errorf("length of entry %d is beyond the end of the file", next), nil
		}
		end := at + w + int(n)
		e, synced, perr := parseEntry(p[at+w : end])
		if perr == nil && e.Index != next {
			perr = fmt.Errorf("entry has index %d, its place is that of %d", e.Index, next)
		}
		if perr != nil {
			return int64(at), fmt.Errorf("entry %d: %w", next, perr), nil
		}
		if err := visit(found{Entry: e, Synced: synced, At: int64(at), End: int64(end)}); err != nil {
			return int64(at), nil, err
		}
		at, next = end, next+1
	}
	return int64(len(p)), nil, nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// provedBehind searches bytes behind a bad entry for a whole later one, and
// returns the highest index that any of them knew durable. The search tries
// every position, since the bad entry's length cannot be trusted.
func provedBehind(p []byte, bad codec.Index) (synced codec.Index) {
	for at := 1; at+entryHeaderBytes <= len(p); at++ {
		if p[at] != entryVersion {
			continue
		}
		index := codec.Index(binary.BigEndian.Uint64(p[at+6:]))
		if index <= bad || index > bad+codec.Index(len(p)) {
			continue
		}
		if e, s, ok := entryAt(p, at); ok && e.Index == index {
			synced = max(synced, s)
		}
	}
	return synced
}

// entryAt parses an entry whose header begins at p[at], taking its length
// from the varint of one or two or three bytes that stands before it.
func entryAt(p []byte, at int) (e Entry, synced codec.Index, ok bool) {
	for w := 1; w <= 3 && w <= at; w++ {
		n, got := binary.Uvarint(p[at-w : at])
		if got != w || n < entryHeaderBytes || n > uint64(len(p)-at) {
			continue
		}
		if e, synced, err := parseEntry(p[at : at+int(n)]); err == nil {
			return e, synced, true
		}
	}
	return e, 0, false
}

// walFile is one file of a WAL: the index of its first entry, and its name.
type walFile struct {
	first codec.Index
	name  string
}

func walFiles(firsts []codec.Index) []walFile {
	files := make([]walFile, len(firsts))
	for i, first := range firsts {
		files[i] = walFile{first, walName(first)}
	}
	return files
}

// errAbsent says that the WAL ends before an entry.
var errAbsent = errors.New("entry is in no WAL file")

// readEntries reads entries [lo, hi) from their files, at least one and no
// more than maxBytes of data. files are the first indexes of the WAL files.
// Where it is called nobody writes.
func readEntries(fs FS, dir string, files []codec.Index, lo, hi codec.Index, maxBytes uint64) (out []Entry, err error) {
	out, err = readFiles(fs, dir, walFiles(files), lo, hi, maxBytes)
	if errors.Is(err, errAbsent) && len(out) > 0 {
		return out, nil
	}
	if errors.Is(err, errAbsent) {
		return nil, corruptf(dir, -1, "entry %d is in no WAL file", lo)
	}
	return out, err
}

// readFiles is readEntries of files by name. Where they end before hi without
// damage it returns what there is, and errAbsent.
func readFiles(fs FS, dir string, files []walFile, lo, hi codec.Index, maxBytes uint64) (out []Entry, err error) {
	bytes := uint64(0)
	for i, file := range files {
		if i+1 < len(files) && files[i+1].first <= lo {
			continue
		}
		first, name := file.first, filepath.Join(dir, file.name)
		if want := lo + codec.Index(len(out)); first > want {
			// The file before it ends in zeros that are no room: it was left.
			return nil, corruptf(name, -1, "the file begins at entry %d, and entry %d is in none before it", first, want)
		}
		p, err := readFile(fs, name)
		if err != nil {
			return nil, fmt.Errorf("read WAL: %w", err)
		}
		good, bad, err := walkWAL(p, first, func(f found) error {
			if f.Index < lo {
				return nil
			}
			if f.Index >= hi || len(out) > 0 && bytes+uint64(len(f.Data)) > maxBytes {
				return errStop
			}
			bytes += uint64(len(f.Data))
			out = append(out, f.Entry)
			return nil
		})
		if errors.Is(err, errStop) {
			return out, nil
		}
		if next := lo + codec.Index(len(out)); next >= hi {
			return out, nil
		} else if bad != nil {
			return nil, &Corrupt{File: name, At: good, Why: bad.Error()}
		}
	}
	return out, errAbsent
}
