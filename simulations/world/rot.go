package world

import (
	"fmt"
	"io/fs"
	"syscall"
)

// FlipBit is bit rot: one bit of the byte at offset of a file is turned, on
// the platter and so for every reader. bit is 0 to 7.
func (d *Disk) FlipBit(name string, offset int64, bit int) error {
	return d.rot(name, offset, 1, func(b []byte) { b[0] ^= 1 << bit })
}

// ZeroRange is rot that reads as zeros in [from, limit).
func (d *Disk) ZeroRange(name string, from, limit int64) error {
	return d.rot(name, from, limit-from, func(b []byte) { clear(b) })
}

// rot changes n bytes of what is read and of what is durable.
func (d *Disk) rot(name string, off, n int64, change func([]byte)) error {
	parent, base, err := d.parent("rot", name)
	if err != nil {
		return err
	}
	at := parent.names[base]
	if at == nil || at.file == nil {
		return &fs.PathError{Op: "rot", Path: name, Err: syscall.ENOENT}
	}
	f := at.file
	if off < 0 || n < 1 || off+n > f.now.size {
		return fmt.Errorf("rot %s: [%d, %d) of %d bytes", name, off, off+n, f.now.size)
	}
	b, err := hostRead(name, off, n)
	if err != nil {
		return err
	}
	change(b)
	if err := hostPatch(name, off, b); err != nil {
		return err
	}
	for _, c := range []*content{&f.now, &f.synced} {
		if keep := min(n, c.size-off); keep > 0 {
			c.write(off, b[:keep], func(int64) {})
		}
	}
	d.note(fmt.Sprintf("rot %s %d %d", base, off, n), 0)
	return nil
}

// Wipe is a disk that was lost, and an empty one in its place. No process may
// have it mounted.
func (d *Disk) Wipe() error {
	d.epoch++
	d.tree, d.locks = newDir(), map[string]bool{}
	d.note("wiped", 0)
	if err := wipe(d.root); err != nil {
		return fmt.Errorf("wipe: %w", err)
	}
	return nil
}
