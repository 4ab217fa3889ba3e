package world

import (
	"fmt"
	"io/fs"
	"syscall"
)

// handle is one open file of a mount.
type handle struct {
	m      *mount
	name   string
	file   *file
	host   hostHandle
	closed bool
}

func (h *handle) call(op string, bytes int64, digest uint64, work func() error, part func(Fault)) error {
	if h.closed && !h.m.dead() {
		return &fs.PathError{Op: op, Path: h.name, Err: fs.ErrClosed}
	}
	return h.m.call(op, h.name, bytes, digest, work, part)
}

// ReadAt reads what processes see, durable or not.
func (h *handle) ReadAt(p []byte, off int64) (n int, err error) {
	err = h.call("read", int64(len(p)), uint64(off), func() error {
		n, err = h.host.ReadAt(p, off)
		return err
	}, nil)
	return n, err
}

// WriteAt writes all of bufs, or a part of them and fails.
func (h *handle) WriteAt(off int64, bufs ...[]byte) error {
	total := int64(0)
	for _, b := range bufs {
		total += int64(len(b))
	}
	return h.call("write", total, checksum(bufs...)+uint64(off), func() error {
		room := total
		if grown := off + total - h.file.now.size; grown > h.m.free() {
			room = max(0, total-(grown-h.m.free()))
		}
		if err := h.put(off, room, bufs); err != nil {
			return err
		}
		if room < total {
			return ENOSPC.err("write", h.name)
		}
		return nil
	}, func(Fault) {
		if err := h.put(off, h.m.chance.Int64N(total+1), bufs); err != nil {
			panic(fmt.Sprintf("world: a failing write: %v", err))
		}
	})
}

// put writes the first n bytes of bufs to the host's file and the model.
func (h *handle) put(off, n int64, bufs [][]byte) error {
	for _, b := range bufs {
		b = b[:min(n, int64(len(b)))]
		if len(b) == 0 {
			continue
		}
		if _, err := h.host.WriteAt(b, off); err != nil {
			return err
		}
		h.file.now.write(off, b, h.file.touched)
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return nil
}

// Allocate makes the file reach to off+n.
func (h *handle) Allocate(off, n int64) error {
	return h.call("allocate", n, uint64(off), func() error {
		grown := off + n - h.file.now.size
		if grown <= 0 {
			return nil
		}
		if grown > h.m.free() {
			return ENOSPC.err("allocate", h.name)
		}
		return h.resize(off + n)
	}, nil)
}

// Truncate cuts the file, or makes it longer with zeros.
func (h *handle) Truncate(size int64) error {
	return h.call("truncate", size, 0, func() error {
		if size < 0 {
			return &fs.PathError{Op: "truncate", Path: h.name, Err: syscall.EINVAL}
		}
		return h.resize(size)
	}, nil)
}

func (h *handle) resize(size int64) error {
	if err := h.host.Truncate(size); err != nil {
		return err
	}
	h.file.now.truncate(size, h.file.touched)
	return nil
}

// WriteBack changes nothing that a process or a crash could see: what is on its
// way to the disk may arrive in any case.
func (h *handle) WriteBack(off, n int64) {}

// Sync makes the file's bytes and size durable.
func (h *handle) Sync() error {
	return h.call("sync", 0, 0, func() error {
		h.file.sync()
		return nil
	}, func(f Fault) {
		if f != Hang {
			h.file.syncFailed()
		}
	})
}

// Size is the file's length.
func (h *handle) Size() (n int64, err error) {
	err = h.call("size", 0, 0, func() error {
		n = h.file.now.size
		return nil
	}, nil)
	return n, err
}

// Close closes the file even when it fails.
func (h *handle) Close() error {
	shut := func() error {
		h.closed = true
		delete(h.m.handles, h)
		return h.host.Close()
	}
	return h.call("close", 0, 0, shut, func(Fault) { _ = shut() })
}
