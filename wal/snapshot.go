package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/troupe-mq/troupe/codec"
)

// Snapshot is a state machine as of an entry of its log.
type Snapshot struct {
	Index codec.Index
	Term  codec.Term
	Data  []byte
}

// A snapshot file: magic, version, index, term, length, data, then the
// CRC-32C of all that.
const (
	snapMagic   = 0x54525053 // "TRPS"
	snapVersion = 1
	snapFixed   = 4 + 4 + 8 + 8 + 8
)

func snapshotName(index codec.Index) string { return fmt.Sprintf("%020d", index) }

func (s *Snapshot) encode() []byte {
	be := binary.BigEndian
	p := make([]byte, 0, snapFixed+len(s.Data)+4)
	p = be.AppendUint32(p, snapMagic)
	p = be.AppendUint32(p, snapVersion)
	p = be.AppendUint64(p, uint64(s.Index))
	p = be.AppendUint64(p, uint64(s.Term))
	p = be.AppendUint64(p, uint64(len(s.Data)))
	p = append(p, s.Data...)
	return be.AppendUint32(p, codec.CRC32C(p))
}

func decodeSnapshot(p []byte) (*Snapshot, error) {
	be := binary.BigEndian
	if len(p) < snapFixed+4 || be.Uint32(p) != snapMagic {
		return nil, fmt.Errorf("%d bytes are no snapshot", len(p))
	}
	if v := be.Uint32(p[4:]); v != snapVersion {
		return nil, fmt.Errorf("snapshot has version %d, want %d", v, snapVersion)
	}
	if n := be.Uint64(p[24:]); n != uint64(len(p)-snapFixed-4) {
		return nil, fmt.Errorf("snapshot says %d bytes of data and has %d", n, len(p)-snapFixed-4)
	}
	body := p[:len(p)-4]
	if crc := codec.CRC32C(body); crc != be.Uint32(p[len(body):]) {
		return nil, fmt.Errorf("snapshot CRC-32C is %08x and should be %08x", be.Uint32(p[len(body):]), crc)
	}
	return &Snapshot{Index: codec.Index(be.Uint64(p[8:])), Term: codec.Term(be.Uint64(p[16:])), Data: body[snapFixed:]}, nil
}

// listSnapshots are the indexes of dir's snapshot files, ascending.
func listSnapshots(fs FS, dir string) (list []codec.Index, temps []string, err error) {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list snapshots: %w", err)
	}
	for _, n := range names {
		if i, err := strconv.ParseUint(n.Name, 10, 64); err == nil && len(n.Name) == 20 {
			list = append(list, codec.Index(i))
		} else {
			temps = append(temps, n.Name)
		}
	}
	return list, temps, nil
}

// newestSnapshot reads the newest that holds. The one before it is kept, and
// the log from there on, so one damaged file costs nothing: damage says what was
// passed over. A snapshot below before, where the log begins, cannot be gone on
// from.
func newestSnapshot(fs FS, dir string, before codec.Index) (s *Snapshot, damage, err error) {
	list, temps, err := listSnapshots(fs, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range temps {
		if err := fs.Remove(filepath.Join(dir, t)); err != nil {
			return nil, nil, fmt.Errorf("remove unfinished snapshot: %w", err)
		}
	}
	for i := len(list) - 1; i >= 0 && list[i] >= before; i-- {
		name := filepath.Join(dir, snapshotName(list[i]))
		p, err := readFile(fs, name)
		if err != nil {
			return nil, nil, fmt.Errorf("read snapshot: %w", err)
		}
		s, err := decodeSnapshot(p)
		if err == nil && s.Index == list[i] {
			return s, damage, nil
		}
		if err == nil {
			err = fmt.Errorf("snapshot is of entry %d", s.Index)
		}
		damage = errors.Join(damage, corruptf(name, -1, "%v", err))
	}
	return nil, nil, damage
}

// WriteSnapshot makes s durable, whole or not at all, and keeps the one
// before it. It returns the index of that one, up to which the log may be
// dropped; zero without one.
func (l *Log) WriteSnapshot(s Snapshot) (previous codec.Index, err error) {
	if l.ended != nil {
		return 0, fmt.Errorf("snapshot of %s: %w", l.dir, l.ended)
	}
	previous, err = l.writeSnapshot(s)
	if err != nil {
		l.ended = errors.Join(ErrClosed, err)
		return 0, fmt.Errorf("snapshot of %s: %w", l.dir, err)
	}
	return previous, nil
}

func (l *Log) writeSnapshot(s Snapshot) (previous codec.Index, err error) {
	if s.Index > l.synced {
		if err := l.syncAll(); err != nil {
			return 0, err
		}
	}
	dir := l.snapshots
	name := filepath.Join(dir, snapshotName(s.Index))
	if err := writeWhole(l.fs, name+".new", s.encode()); err != nil {
		return 0, err
	}
	if err := l.fs.Rename(name+".new", name); err != nil {
		return 0, err
	}
	if err := l.fs.SyncDir(dir); err != nil {
		return 0, &SyncFailed{err}
	}
	list, _, err := listSnapshots(l.fs, dir)
	if err != nil {
		return 0, err
	}
	for len(list) > 2 {
		if err := l.fs.Remove(filepath.Join(dir, snapshotName(list[0]))); err != nil {
			return 0, err
		}
		list = list[1:]
	}
	if len(list) == 2 {
		previous = list[0]
	}
	return previous, nil
}

// writeWhole makes a file with the bytes p, durable but for its name.
func writeWhole(fs FS, name string, p []byte) (err error) {
	f, err := fs.Open(name, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if err := f.WriteAt(0, p); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return &SyncFailed{err}
	}
	return nil
}
