package codec

import (
	"encoding/binary"
	"fmt"
)

// EntryKind is the first byte of the data of a normal raft entry: what the
// rest of the data is. An entry without data is the empty one that a leader
// begins its term with.
type EntryKind byte

const (
	// EntryBatch is followed by the Run of its batches, which lie beside it, one
	// behind the other.
	EntryBatch EntryKind = 1
	// EntryStart is followed by the new start offset of the log, 8 bytes.
	EntryStart EntryKind = 2
	// EntryCommand is followed by a command of a key-value state machine.
	EntryCommand EntryKind = 3
)

// AppendBatchEntry writes the entry data of batches behind dst, at least one,
// each beginning where the one before it ends.
func AppendBatchEntry(dst []byte, run ...Descriptor) []byte {
	dst = append(dst, byte(EntryBatch))
	for i := range run {
		dst = run[i].Append(dst)
	}
	return dst
}

// AppendStartEntry writes the entry data that moves a log's start behind dst.
func AppendStartEntry(dst []byte, start Offset) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(EntryStart)), uint64(start))
}

// AppendCommandEntry writes the entry data of a command behind dst.
func AppendCommandEntry(dst, command []byte) []byte {
	return append(append(dst, byte(EntryCommand)), command...)
}

// ParseBatchEntry reads the data of an entry: ok is false when it is not of
// kind EntryBatch. The Run aliases data.
func ParseBatchEntry(data []byte) (run Run, ok bool, err error) {
	if len(data) == 0 || EntryKind(data[0]) != EntryBatch {
		return nil, false, nil
	}
	run, err = parseRun(data[1:])
	return run, err == nil, err
}

// ParseStartEntry reads the data of an entry: ok is false when it is not of
// kind EntryStart.
func ParseStartEntry(data []byte) (start Offset, ok bool, err error) {
	if len(data) == 0 || EntryKind(data[0]) != EntryStart {
		return 0, false, nil
	}
	if len(data) != 9 {
		return 0, false, fmt.Errorf("parse start entry: %d bytes, want 9", len(data))
	}
	start = Offset(binary.BigEndian.Uint64(data[1:]))
	if start < 0 {
		return 0, false, fmt.Errorf("parse start entry: offset %d", start)
	}
	return start, true, nil
}
