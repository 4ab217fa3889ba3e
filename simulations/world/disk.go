package world

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/troupe-mq/troupe/wal"
)

// ErrCrashed is what every call of a mount gets after Crash.
var ErrCrashed = errors.New("the process that made this call is dead")

// Disk is a simulated disk: real files below Root, in memory if the host can,
// and beside them what was fsynced: per file its bytes, per directory its
// names. Names are whole paths below Root. A Disk belongs to one goroutine.
type Disk struct {
	root   string
	tree   *dir
	epoch  int // counts crashes; a mount of an older one is dead
	chance *rand.Rand
	tell   func(what string, digest uint64)

	handles  map[*handle]struct{}
	locks    map[string]bool
	capacity int64 // bytes; 0 is without limit
	drawn    map[[sha256.Size]byte]bool

	calls  int
	watch  func(Call)
	inject func(Call) Fault
}

// NewDisk makes an empty disk, whose own choices (how much of a failing write
// arrives, say) come from seed. Close removes it.
func NewDisk(seed uint64) (*Disk, error) {
	root, err := scratch()
	if err != nil {
		return nil, fmt.Errorf("make a simulated disk: %w", err)
	}
	return &Disk{
		root: root, tree: newDir(), chance: stream(seed, "disk"), handles: map[*handle]struct{}{},
		locks: map[string]bool{}, drawn: map[[sha256.Size]byte]bool{},
	}, nil
}

// Disk makes a disk whose calls are part of what happens in the World.
func (w *World) Disk(name string) (*Disk, error) {
	d, err := NewDisk(w.Rand(name).Uint64())
	if err == nil {
		d.tell = func(what string, digest uint64) { w.Note(name, what, digest) }
	}
	return d, err
}

// Close removes the disk and all that is on it.
func (d *Disk) Close() error {
	d.epoch++
	var errs closing
	for h := range d.handles {
		errs.add(h.host.Close())
	}
	clear(d.handles)
	errs.add(discard(d.root))
	return errs.err
}

// Root is the directory that the disk is mounted at.
func (d *Disk) Root() string { return d.root }

// Mount is the disk as the process sees it that runs now: it ends at the next
// Crash.
func (d *Disk) Mount() wal.FS { return &mount{d, d.epoch} }

// Handles is how many files are open.
func (d *Disk) Handles() int { return len(d.handles) }

// SetCapacity makes the disk full at so many bytes, the sum of the sizes of
// its files; 0 lifts the limit.
func (d *Disk) SetCapacity(bytes int64) { d.capacity = bytes }

// Used is the sum of the sizes of all files.
func (d *Disk) Used() int64 { return d.tree.used() }

// unlimited is what Free says of a disk without a limit.
const unlimited = 1 << 40

func (d *Disk) free() int64 {
	if d.capacity == 0 {
		return unlimited
	}
	return max(0, d.capacity-d.Used())
}

func (d *dir) used() (sum int64) {
	for _, n := range d.names {
		if n.dir != nil {
			sum += n.dir.used()
		} else {
			sum += n.file.now.size
		}
	}
	return sum
}

func (d *Disk) note(what string, digest uint64) {
	if d.tell != nil {
		d.tell(what, digest)
	}
}

// find is the node of a name below d, with slashes; nil when there is none.
func (d *dir) find(name string) *node {
	n := &node{dir: d}
	if name == "." || name == "" {
		return n
	}
	for part := range strings.SplitSeq(name, "/") {
		if n.dir == nil || n.dir.names[part] == nil {
			return nil
		}
		n = n.dir.names[part]
	}
	return n
}

// rel is name below the root with slashes, "." for the root.
func (d *Disk) rel(name string) (string, error) {
	r, err := filepath.Rel(d.root, filepath.Clean(name))
	if err != nil || r == ".." || strings.HasPrefix(r, ".."+string(filepath.Separator)) {
		return "", fmt.Errorf("%s is not on the simulated disk %s", name, d.root)
	}
	return filepath.ToSlash(r), nil
}

// parent finds the directory of name, and its last part.
func (d *Disk) parent(op, name string) (*dir, string, error) {
	r, err := d.rel(name)
	if err != nil {
		return nil, "", err
	}
	under, base := filepath.Split(r)
	n := d.tree.find(strings.TrimSuffix(under, "/"))
	if n == nil || n.dir == nil {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
	}
	return n.dir, base, nil
}

// directory finds the directory name.
func (d *Disk) directory(op, name string) (*dir, error) {
	r, err := d.rel(name)
	if err != nil {
		return nil, err
	}
	n := d.tree.find(r)
	switch {
	case n == nil:
		return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
	case n.dir == nil:
		return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
	}
	return n.dir, nil
}

// mount is the disk for one process.
type mount struct {
	*Disk
	epoch int
}

func (m *mount) dead() bool { return m.epoch != m.Disk.epoch }

// Open opens a file and makes it when create is set. The host is asked first
// in every call, so its refusals are the real ones.
func (m *mount) Open(name string, create bool) (f wal.File, err error) {
	err = m.call("open", name, 0, 0, func() error {
		parent, base, err := m.parent("open", name)
		if err != nil {
			return err
		}
		host, err := hostOpen(name, create)
		if err != nil {
			return err
		}
		n := parent.names[base]
		if n == nil {
			info, err := host.Stat()
			if err != nil {
				return errors.Join(err, host.Close())
			}
			n = &node{file: newFile(inode(info))}
			parent.link(base, n)
		}
		h := &handle{m: m, name: name, file: n.file, host: host}
		m.handles[h] = struct{}{}
		f = h
		return nil
	}, nil)
	return f, err
}

// MkdirAll makes dir and its parents.
func (m *mount) MkdirAll(name string) error {
	return m.call("mkdir", name, 0, 0, func() error {
		r, err := m.rel(name)
		if err != nil || r == "." {
			return err
		}
		at, under := m.root, m.tree
		for part := range strings.SplitSeq(r, "/") {
			at = filepath.Join(at, part)
			n := under.names[part]
			if n == nil {
				if err := hostMkdir(at); err != nil {
					return err
				}
				n = &node{dir: newDir()}
				under.link(part, n)
			}
			if n.dir == nil {
				return &fs.PathError{Op: "mkdir", Path: at, Err: syscall.ENOTDIR}
			}
			under = n.dir
		}
		return nil
	}, nil)
}

// ReadDir lists dir sorted by name.
func (m *mount) ReadDir(name string) (list []wal.DirEntry, err error) {
	err = m.call("readdir", name, 0, 0, func() error {
		d, err := m.directory("open", name)
		if err != nil {
			return err
		}
		list = make([]wal.DirEntry, 0, len(d.names))
		for _, base := range sorted(d.names) {
			e := wal.DirEntry{Name: base, Dir: d.names[base].dir != nil}
			if !e.Dir {
				e.Size = d.names[base].file.now.size
			}
			list = append(list, e)
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Remove removes a file or an empty directory.
func (m *mount) Remove(name string) error {
	return m.call("remove", name, 0, 0, func() error {
		parent, base, err := m.parent("remove", name)
		if err != nil {
			return err
		}
		if err := hostRemove(name); err != nil {
			return err
		}
		parent.unlink(base)
		return nil
	}, nil)
}

// RemoveAll removes a tree, from its leaves up.
func (m *mount) RemoveAll(name string) error {
	return m.call("removeall", name, 0, 0, func() error {
		r, err := m.rel(name)
		if err != nil {
			return err
		}
		if m.tree.find(r) == nil {
			return nil
		}
		parent, base, err := m.parent("remove", name)
		if err != nil {
			return err
		}
		return m.removeTree(parent, base, name)
	}, nil)
}

func (m *mount) removeTree(parent *dir, base, name string) error {
	if d := parent.names[base].dir; d != nil {
		for _, below := range sorted(d.names) {
			if err := m.removeTree(d, below, filepath.Join(name, below)); err != nil {
				return err
			}
		}
	}
	if err := hostRemove(name); err != nil {
		return err
	}
	parent.unlink(base)
	return nil
}

// Rename moves within one directory: the order of changes of two directories
// is not modelled.
func (m *mount) Rename(from, to string) error {
	return m.call("rename", from, 0, 0, func() error {
		a, fromBase, err := m.parent("rename", from)
		if err != nil {
			return err
		}
		b, toBase, err := m.parent("rename", to)
		if err != nil {
			return err
		}
		if a != b {
			return fmt.Errorf("rename %s to %s: the simulated disk renames only within one directory: %w", from, to, syscall.EXDEV)
		}
		if err := hostRename(from, to); err != nil {
			return err
		}
		a.rename(fromBase, toBase)
		return nil
	}, nil)
}

// SyncAll syncs files one after the other: what a crash in between leaves is no
// different, for it may keep what was not fsynced.
func (m *mount) SyncAll(files ...wal.File) error {
	errs := make([]error, len(files))
	for i, f := range files {
		errs[i] = f.Sync()
	}
	return errors.Join(errs...)
}

// SyncDir makes the names in dir durable. One that failed is not made up for
// by any later one of the same process; behind one that hangs all others do.
func (m *mount) SyncDir(name string) error {
	return m.call("syncdir", name, 0, 0, func() error {
		d, err := m.directory("open", name)
		if err == nil {
			d.sync()
		}
		return err
	}, func(f Fault) {
		if d, err := m.directory("open", name); err == nil {
			d.hung, d.broken = f == Hang, f != Hang
		}
	})
}

// Free is what the capacity leaves.
func (m *mount) Free(name string) (n int64, err error) {
	err = m.call("free", name, 0, 0, func() error {
		n = m.free()
		return nil
	}, nil)
	return n, err
}

// Lock takes name until the result is closed or the process dies.
func (m *mount) Lock(name string) (c io.Closer, err error) {
	err = m.call("lock", name, 0, 0, func() error {
		parent, base, err := m.parent("open", name)
		if err != nil {
			return err
		}
		if m.locks[name] {
			return fmt.Errorf("%s is held by another process", name)
		}
		host, err := hostOpen(name, true)
		if err != nil {
			return err
		}
		info, err := host.Stat()
		if err = errors.Join(err, host.Close()); err != nil {
			return err
		}
		if parent.names[base] == nil {
			parent.link(base, &node{file: newFile(inode(info))})
		}
		m.locks[name] = true
		c = &lock{m: m, name: name}
		return nil
	}, nil)
	return c, err
}

type lock struct {
	m    *mount
	name string
}

// Close lets go of the name.
func (l *lock) Close() error {
	if l.m.dead() {
		return ErrCrashed
	}
	delete(l.m.locks, l.name)
	return nil
}

// checksum is a digest of bytes.
func checksum(bufs ...[]byte) uint64 {
	h := fnv.New64a()
	for _, b := range bufs {
		_, _ = h.Write(b) // a hash's Write never fails
	}
	return h.Sum64()
}
