package wal

import (
	"fmt"
)

// hardFile is the open file of the hard state. Its two slots are written in
// turn, each fsynced before the next is begun, and at rest they promise the
// same: who changes a promise writes both before the change is relied on. So
// one torn write, or one piece of rot, leaves a slot with every promise that
// ever left. Commit and Durable alone may be newer in one of them
// (docs/decisions/0012-two-slots-that-say-the-same.md).
type hardFile struct {
	file     File
	name     string
	sequence uint64 // of the newest slot
	now      Hard

	slot  []byte // the newest as it was read, until confirm
	other *Hard  // what the older said then; nil when it did not hold
}

// openHard reads the newest slot that holds.
func openHard(fs FS, name string) (*hardFile, error) {
	f, err := fs.Open(name, false)
	if err != nil {
		return nil, fmt.Errorf("open hard state: %w", err)
	}
	h := &hardFile{file: f, name: name}
	if err := h.read(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return h, nil
}

func (h *hardFile) read() error {
	var slots [2][]byte
	var found [2]*Hard
	var sequences [2]uint64
	for i := range slots {
		slots[i] = make([]byte, hardSlotBytes)
		n, err := readFull(h.file, slots[i], int64(i)*hardSlotBytes)
		if err != nil {
			return fmt.Errorf("read hard state: %w", err)
		}
		if s, sequence, ok := decodeHard(slots[i][:n]); ok && sequence%2 == uint64(i) {
			found[i], sequences[i] = &s, sequence
		}
	}
	newest := 0
	switch low, high := min(sequences[0], sequences[1]), max(sequences[0], sequences[1]); {
	case found[0] == nil && found[1] == nil:
		return corruptf(h.name, -1, "neither slot of the hard state holds")
	case found[0] != nil && found[1] != nil && high-low != 1:
		// No crash leaves that: each write is durable before the next.
		return corruptf(h.name, -1, "its slots have sequences %d and %d and are written in turn: a write that was fsynced is lost", low, high)
	case found[0] == nil || found[1] != nil && sequences[1] > sequences[0]:
		newest = 1
	}
	h.now, h.sequence, h.slot, h.other = *found[newest], sequences[newest], slots[newest], found[1-newest]
	return nil
}

// whole says whether both slots held when they were read.
func (h *hardFile) whole() bool { return h.other != nil }

// confirm makes durable what was read, and both slots promise the same.
//
// The newest may be one whose fsync failed, and which only the page cache has:
// it is written over itself before the other, which is known to be on the disk,
// is touched. Where the other does not hold, it was being written when the power
// went, so the newest was durable before, or it rotted: then it goes first, lest
// both be torn.
func (h *hardFile) confirm() error {
	slot, other := h.slot, h.other
	h.slot = nil
	if other == nil {
		return h.both(h.now)
	}
	if err := h.put(h.sequence, slot); err != nil {
		return err
	}
	if other.promisesAs(h.now) {
		return nil
	}
	return h.one(h.now)
}

// write makes next durable: in both slots, unless all that is new in it is that
// more is committed and durable.
func (h *hardFile) write(next Hard) error {
	if next.promisesAs(h.now) && next.Commit >= h.now.Commit && next.Durable >= h.now.Durable {
		return h.one(next)
	}
	return h.both(next)
}

func (h *hardFile) both(next Hard) error {
	if err := h.one(next); err != nil {
		return err
	}
	return h.one(next)
}

// one makes next durable in the older slot.
func (h *hardFile) one(next Hard) error {
	p, err := next.encode(h.sequence + 1)
	if err != nil {
		return err
	}
	if err := h.put(h.sequence+1, p); err != nil {
		return err
	}
	h.sequence++
	h.now = next
	return nil
}

// put writes the slot that is the turn of sequence, and fsyncs it.
func (h *hardFile) put(sequence uint64, slot []byte) error {
	if err := h.file.WriteAt(int64(sequence%2)*hardSlotBytes, slot); err != nil {
		return fmt.Errorf("write hard state: %w", err)
	}
	if err := h.file.Sync(); err != nil {
		return &SyncFailed{fmt.Errorf("hard state: %w", err)}
	}
	return nil
}
