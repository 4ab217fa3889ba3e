package world

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// The calls of the host's operating system that a Disk makes. Its files are
// real, because tidwall/wal makes calls of its own.

// ramDir is memory on Linux; elsewhere the temporary directory has to do.
const ramDir = "/dev/shm"

// scratch makes an empty directory, in memory if it can.
func scratch() (string, error) {
	if dir, err := os.MkdirTemp(ramDir, "troupe-world-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "troupe-world-")
}

// discard removes a directory that scratch made.
func discard(dir string) error { return os.RemoveAll(dir) }

// wipe removes everything in dir. Files that are still open live on nameless.
func wipe(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// hostHandle is a file of the host that is open.
type hostHandle = *os.File

func hostOpen(name string, create bool) (hostHandle, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	return os.OpenFile(name, flags, 0o640)
}

func hostMkdir(name string) error { return os.Mkdir(name, 0o750) }

func hostRemove(name string) error { return os.Remove(name) }

func hostRename(from, to string) error { return os.Rename(from, to) }

func hostTruncate(name string, size int64) error { return os.Truncate(name, size) }

// hostFile is a file of a directory as the host has it.
type hostFile struct {
	name string
	size int64
	ino  uint64
	dir  bool
}

// hostFiles lists the files of a directory, sorted by name, without the
// directories.
func hostFiles(dir string) ([]hostFile, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []hostFile
	for _, e := range list {
		if e.IsDir() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		all = append(all, hostFile{e.Name(), info.Size(), inode(info), false})
	}
	return all, nil
}

// hostNames are the names in a directory, sorted.
func hostNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// hostStat is one file, or directory, as the host has it.
func hostStat(name string) (h hostFile, err error) {
	info, err := os.Lstat(name)
	if err != nil {
		return h, err
	}
	return hostFile{filepath.Base(name), info.Size(), inode(info), info.IsDir()}, nil
}

// inode is the host's number of a file, by which a rename is recognised.
func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// hostRead reads [off, off+n) of a file.
func hostRead(name string, off, n int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b := make([]byte, n)
	_, err = f.ReadAt(b, off)
	return b, err
}

// hostWrite makes a file with content c and returns its inode.
func hostWrite(name string, c *content) (ino uint64, err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return 0, err
	}
	err = c.extents(func(off int64, b []byte) error {
		_, err := f.WriteAt(b, off)
		return err
	})
	if err == nil {
		err = f.Truncate(c.size)
	}
	info, serr := f.Stat()
	for _, e := range []error{serr, f.Close()} {
		if err == nil {
			err = e
		}
	}
	if err != nil {
		return 0, err
	}
	return inode(info), nil
}

// hostPatch writes b into an existing file.
func hostPatch(name string, off int64, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// write makes the files of p below an empty root. tree, if given, learns the
// host's numbers of its files.
func (p picture) write(root string, tree *dir) error {
	for _, e := range p {
		name := filepath.Join(root, filepath.FromSlash(e.name))
		if e.dir {
			if err := hostMkdir(name); err != nil {
				return err
			}
			continue
		}
		ino, err := hostWrite(name, &e.content)
		if err != nil {
			return err
		}
		if tree != nil {
			tree.find(e.name).file.ino = ino
		}
	}
	return nil
}
