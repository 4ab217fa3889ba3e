package wal

import (
	"encoding/binary"
	"fmt"
)

// reserveMin is the room that the first entry of a log is given.
const reserveMin = 16 << 10

var zeros [walFileBytes]byte

// reserve puts zeros behind the tail's end where entries will go, ahead of
// them: then an fsync finds a file whose size and blocks stay as they are, and
// the file system has nothing to enter in its journal. The room doubles; a log
// that filled a file gets it whole. It never goes beyond the size at which the
// library ends a file, so only the last file ever has any, and an opening cuts
// it off before the library sees it.
func (e *engine) reserve(entries []Entry) error {
	need := e.tailBytes
	for i := range entries {
		need += int64(binary.MaxVarintLen32 + entryHeaderBytes + len(entries[i].Data))
	}
	if need <= e.room || e.room >= e.fileBytes {
		return nil
	}
	to := max(need, 2*e.room, reserveMin)
	if e.rolled {
		to = e.fileBytes
	}
	to = min(to, e.fileBytes)
	for e.room < to {
		n := min(to-e.room, int64(len(zeros)))
		if err := e.tail.WriteAt(e.room, zeros[:n]); IsFull(err) {
			return nil // the entries at hand may still fit; if not, their write will say so
		} else if err != nil {
			return fmt.Errorf("make room in WAL: %w", err)
		}
		e.room += n
	}
	return nil
}
