package world

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// Call is one call of a Disk. Seq counts them from 0 in every mount together.
type Call struct {
	Seq   int
	Op    string // open, mkdir, readdir, remove, removeall, rename, syncdir, free, lock, read, write, allocate, truncate, sync, size, close, or "foreign " and what
	Name  string // below the root, with slashes
	Bytes int64  // of a read, write, allocation; the new size of a truncation
	Done  bool   // false before the call, true after it
	Err   error  // after it
}

// String is the call in reports: "17 write data/wal/0000 512".
func (c Call) String() string {
	s := fmt.Sprintf("%d %s %s", c.Seq, c.Op, c.Name)
	if c.Bytes > 0 {
		s += fmt.Sprintf(" %d", c.Bytes)
	}
	return s
}

// Fault is how a call fails. The zero Fault is none.
type Fault int

const (
	None Fault = iota
	// EIO: an error of the device. A failed fsync marks what it covers as
	// clean, though it is not durable: no later one makes it so.
	EIO
	// ENOSPC: no room. A write leaves a part of its bytes behind first.
	ENOSPC
	// Hang: the call never returns. It may have had a part of its effect. The
	// job that made it, if by an Executor, or else the actor, does nothing any
	// more.
	Hang
)

// String is the fault's name in reports.
func (f Fault) String() string { return [...]string{"none", "EIO", "ENOSPC", "hang"}[f] }

// Faults lists all kinds.
func Faults() []Fault { return []Fault{EIO, ENOSPC, Hang} }

func (f Fault) err(op, name string) error {
	errno := syscall.EIO
	if f == ENOSPC {
		errno = syscall.ENOSPC
	}
	return fmt.Errorf("%s %s: %w", op, name, errno)
}

// Inject lets choose decide how each call fails from now on; nil ends it.
func (d *Disk) Inject(choose func(Call) Fault) { d.inject = choose }

// FailCall lets the k-th call from now on fail, counted from 0, and no other.
func (d *Disk) FailCall(k int, f Fault) {
	k += d.calls
	d.Inject(func(c Call) Fault {
		if c.Seq == k {
			return f
		}
		return None
	})
}

// OnCall has every call told before it does anything and again when it is
// done; nil ends it. hook may draw Images and may Crash: a call that crashes
// before or behind its effect returns ErrCrashed.
func (d *Disk) OnCall(hook func(Call)) { d.watch = hook }

// Calls is how many calls were made.
func (d *Disk) Calls() int { return d.calls }

// call is the frame of every call: the hook, the fault, the work, the trace.
// part has the part of the effect that a failing call has; nil is none.
func (m *mount) call(op, name string, bytes int64, digest uint64, work func() error, part func(Fault)) error {
	if m.dead() {
		return ErrCrashed
	}
	rel, err := m.rel(name)
	if err != nil {
		return err
	}
	c := Call{Seq: m.calls, Op: op, Name: rel, Bytes: bytes}
	m.calls++
	m.told(c)
	if m.dead() {
		return ErrCrashed
	}
	fault := None
	if m.inject != nil {
		fault = m.inject(c)
	}
	if d, err := m.directory("open", name); err == nil && op == "syncdir" && d.hung {
		fault = Hang // behind one that hangs
	}
	if fault == None {
		c.Err = work()
	} else {
		if part != nil {
			part(fault)
		}
		c.Err = fault.err(op, filepath.Join(m.root, rel))
	}
	m.noteCall(c, fault, digest)
	if fault == Hang {
		panic(hung{c.String()})
	}
	c.Done = true
	m.told(c)
	if m.dead() {
		return ErrCrashed
	}
	return c.Err
}

func (d *Disk) told(c Call) {
	if d.watch != nil {
		d.watch(c)
	}
}

// noteCall puts the call into the trace. Errors go in as yes or no: their
// texts hold paths of the host.
func (d *Disk) noteCall(c Call, f Fault, digest uint64) {
	if d.tell == nil {
		return
	}
	what := c.String()
	if c.Err != nil {
		what += " failed"
	}
	if f != None {
		what += " by " + f.String()
	}
	d.tell(what, digest)
}
