package main

import (
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// What a data directory keeps before it belongs to a cluster: the id of its disk,
// so that a join that failed can be repeated as the same, and the record of a
// founding. Neither is ever written anew, and both stay.

const (
	diskName   = "disk.json"
	recordName = "founding.json"
	keptFormat = 1
)

// kept is a file of these.
type kept[T any] struct {
	Format int    `json:"format"`
	What   T      `json:"what"`
	Check  string `json:"check"` // the CRC-32C of the rest
}

func (k kept[T]) sum() string {
	k.Check = ""
	p, err := json.Marshal(k)
	if err != nil {
		panic("troupe: marshal what a directory keeps: " + err.Error())
	}
	return fmt.Sprintf("%08x", codec.CRC32C(p))
}

// readKept reads one; nil when there is none.
func readKept[T any](fs wal.FS, name string) (*T, error) {
	p, err := wal.ReadFile(fs, name)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var k kept[T]
	err = json.Unmarshal(p, &k)
	switch {
	case err != nil:
	case k.Format != keptFormat:
		err = fmt.Errorf("format %d, this program knows %d", k.Format, keptFormat)
	case k.Check != k.sum():
		err = errors.New("its checksum does not hold")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", name, errDamaged, err)
	}
	return &k.What, nil
}

var errDamaged = errors.New("damaged")

// readBefore is readKept in a directory that belongs to no cluster. Only there is
// nothing lost with what is damaged.
func readBefore[T any](fs wal.FS, name string) (*T, error) {
	had, err := readKept[T](fs, name)
	if errors.Is(err, errDamaged) {
		err = fmt.Errorf("%w: empty the data directory, for it belongs to no cluster yet", err)
	}
	return had, err
}

// writeKept keeps one, durable when it returns nil.
func writeKept[T any](fs wal.FS, name string, what T) error {
	k := kept[T]{Format: keptFormat, What: what}
	k.Check = k.sum()
	p, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return wal.WriteFile(fs, name, append(p, '\n'))
}

// diskOf is the id of a data directory that belongs to nobody yet: that which it
// keeps, or one drawn now.
func diskOf(fs wal.FS, dir string, draw func() codec.UUID) (codec.UUID, error) {
	had, err := readBefore[string](fs, filepath.Join(dir, diskName))
	if err != nil {
		return codec.UUID{}, err
	}
	if had != nil {
		return codec.ParseUUID(*had)
	}
	id := draw()
	return id, writeKept(fs, filepath.Join(dir, diskName), id.String())
}

// osFS is the disk.
var osFS = wal.OS{}
