package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// ReadPayloads reads the batches of entries from the segment files, for a
// replica that has to be sent them. entries are some that the index has,
// ascending, each with its Data and Place: what Entries or ReadEntries
// returned. payloads[i] are the batches of entries[i], nil for one that has
// none; the bytes belong to the caller. At most maxBytes of batches are read,
// but at least those of the first entry that has any, so payloads may be
// shorter than entries. Each batch was checked against its descriptor, head and
// checksum.
//
// It uses nothing of the index that changes. For committed entries it may run
// anywhere, beside the writer; for others, which a cut may take away, on the
// log's lane.
//
// Errors: ErrGone when retention, a cut or a snapshot took an entry away, and
// also when another stands at its place: look at the index again. Corrupt when
// the log still has the entry, at that place, and its batch does not hold. Or
// the disk's.
func (x *Index) ReadPayloads(entries []Entry, maxBytes int) (payloads [][]codec.Batch, err error) {
	r := payloadReader{x: x}
	defer func() { err = errors.Join(err, r.close()) }()
	for len(entries) > 0 {
		n, bytes := stretchOf(entries, maxBytes, r.bytes > 0)
		if n == 0 {
			break
		}
		if bytes == 0 {
			payloads = append(payloads, make([][]codec.Batch, n)...)
		} else if payloads, err = r.read(payloads, entries[:n], bytes); err != nil {
			return nil, err
		}
		r.bytes, maxBytes, entries = r.bytes+bytes, maxBytes-bytes, entries[n:]
	}
	return payloads, nil
}

// stretchOf is how many of the first entries can be read at once: those whose
// batches lie one behind the other, up to maxBytes, and entries without
// batches before and between them. some says that others were read before.
func stretchOf(entries []Entry, maxBytes int, some bool) (n, bytes int) {
	var next Place
	for i := range entries {
		run, ok, err := entries[i].batches()
		if err != nil {
			panic(fmt.Sprintf("wal: entry %d whose batches are asked for does not hold: %v", entries[i].Index, err))
		}
		if !ok {
			n++
			continue
		}
		size := run.Bytes()
		if bytes > 0 && entries[i].Place != next || (some || bytes > 0) && bytes+size > maxBytes {
			break
		}
		n, bytes, next = n+1, bytes+size, entries[i].Place
		next.Position += int64(size)
	}
	return n, bytes
}

// payloadReader reads stretches of batches, one behind the other.
type payloadReader struct {
	x     *Index
	file  File // of the segment that was read last
	base  codec.Offset
	bytes int // read so far
}

// read appends the batches of entries, which lie in one stretch of bytes.
func (r *payloadReader) read(payloads [][]codec.Batch, entries []Entry, bytes int) ([][]codec.Batch, error) {
	var rest []byte
	for i := range entries {
		e := &entries[i]
		run, ok, _ := e.batches() // stretchOf read it
		if !ok {
			payloads = append(payloads, nil)
			continue
		}
		if rest == nil {
			buf := make([]byte, bytes)
			n, err := r.fill(buf, e.Place)
			if err != nil {
				return nil, err
			}
			rest = buf[:n:n]
		}
		n := min(run.Bytes(), len(rest))
		p := rest[:n:n]
		rest = rest[n:]
		if why := e.matches(run, p); why != nil {
			var err error
			if p, err = r.again(e, run); err != nil {
				return nil, err
			}
		}
		payloads = append(payloads, split(run, p))
	}
	return payloads, nil
}

// fill reads what lies at p, or as much of it as there is.
func (r *payloadReader) fill(buf []byte, p Place) (n int, err error) {
	if r.file == nil || r.base != p.Segment {
		if err := r.close(); err != nil {
			return 0, err
		}
		r.file, err = r.x.fs.Open(r.name(p), false)
		if errors.Is(err, iofs.ErrNotExist) {
			return 0, ErrGone
		}
		if err != nil {
			return 0, err
		}
		r.base = p.Segment
	}
	return readFull(r.file, buf, p.Position)
}

func (r *payloadReader) name(p Place) string { return filepath.Join(r.x.dir, segmentName(p.Segment)) }

func (r *payloadReader) close() error {
	f := r.file
	if r.file = nil; f == nil {
		return nil
	}
	return f.Close()
}

// again judges an entry whose batches were not where it says. The WAL is cut
// before batches are overwritten, so it knows whether the entry is still
// there; only if it is, and the batches still do not hold, are they damaged.
func (r *payloadReader) again(e *Entry, run codec.Run) ([]byte, error) {
	before := r.x.cuts.look()
	now, err := readBeside(r.x.fs, r.x.wal, r.x.cuts, e.Index, e.Index+1, 0)
	if err != nil {
		return nil, err
	}
	if now[0].Term != e.Term || now[0].Place != e.Place || string(now[0].Data) != string(e.Data) {
		return nil, ErrGone
	}
	p := make([]byte, run.Bytes())
	n, err := r.fill(p, e.Place)
	if err != nil {
		return nil, err
	}
	if why := e.matches(run, p[:n]); why != nil {
		if !r.x.cuts.none(before) {
			return nil, ErrGone // cut behind the look at the WAL
		}
		return nil, corruptf(r.name(e.Place), e.Place.Position, "entry %d: %v", e.Index, why)
	}
	return p, nil
}

// matches says why p is not the batches of e.
func (e *Entry) matches(run codec.Run, p []byte) error {
	epoch, fits := codec.EpochOf(e.Term)
	if !fits {
		return fmt.Errorf("it has term %d", e.Term)
	}
	return run.Matches(p, epoch)
}

// split takes the batches of run apart.
func split(run codec.Run, p []byte) []codec.Batch {
	batches := make([]codec.Batch, run.Len())
	for i := range batches {
		n := run.At(i).Size
		batches[i], p = codec.Batch(p[:n:n]), p[n:]
	}
	return batches
}
