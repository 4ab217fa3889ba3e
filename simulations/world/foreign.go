package world

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Foreign lets a library change files of dir by calls of its own, and then
// looks what became of them. What it takes as given of tidwall/wal v1.2.1,
// and its tests hold the library to: a file that it rolls away from, and one
// that it rewrites to truncate, it has fsynced; names it never does.
func (m *mount) Foreign(name, what string, do func() error) error {
	var result error
	work := func() error {
		result = m.foreign(name, what, do)
		return result
	}
	part := func(f Fault) {
		if what == "open" {
			return // refused before it changed anything
		}
		if err := m.foreignPart(name, what, do); err != nil {
			panic(fmt.Sprintf("world: a failing %s of a library: %v", what, err))
		}
	}
	return m.call("foreign "+what, name, 0, 0, work, part)
}

// foreign runs do. When it took more room than there is, it ends where the
// disk was full.
func (m *mount) foreign(name, what string, do func() error) error {
	d, err := m.directory("open", name)
	if err != nil {
		return err
	}
	room := m.free()
	err = do()
	if room < unlimited {
		full, lerr := m.fit(d, name, room, err)
		if lerr != nil {
			return lerr
		}
		if full {
			err = &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC} // as os.File says it: a library tells it from an fsync that fails
		}
	}
	if what == "append" {
		if lerr := m.learnAppend(d, name); lerr != nil {
			return lerr
		}
		return err
	}
	if _, lerr := m.learn(d, name); lerr != nil {
		return lerr
	}
	return err
}

// fit cuts back what a call wrote that did not fail, to the room that there was
// before; full says that there was less.
func (m *mount) fit(d *dir, name string, room int64, failed error) (full bool, err error) {
	changed, err := m.changes(d, name)
	if err != nil {
		return false, err
	}
	for i := range changed { // what was written over took no room
		changed[i].from = max(changed[i].from, changed[i].was)
	}
	if failed != nil || sum(changed) <= room {
		return false, nil
	}
	return true, cutBack(d, name, changed, room)
}

// foreignPart has a part of do's effects: of an append its first bytes, of
// anything else the first changes of names.
func (m *mount) foreignPart(name, what string, do func() error) error {
	d, err := m.directory("open", name)
	if err != nil {
		return err
	}
	before, since := maps.Clone(d.names), len(d.since)
	_ = do() // the call fails in any case
	if what == "append" {
		changed, err := m.changes(d, name)
		if err != nil {
			return err
		}
		if err := cutBack(d, name, changed, m.chance.Int64N(sum(changed)+1)); err != nil {
			return err
		}
	}
	ops, err := m.learn(d, name)
	if err != nil || what == "append" || len(ops) == 0 {
		return err
	}
	return m.undo(d, name, before, since, ops[:m.chance.IntN(len(ops)+1)])
}

// change is what a library wrote to a file: [from, to), behind its old end or
// over zeros that were put there for it.
type change struct {
	name    string
	from    int64
	to      int64
	was     int64 // the old size
	created bool
}

func sum(changed []change) (n int64) {
	for _, c := range changed {
		n += max(0, c.to-c.from)
	}
	return n
}

// changes lists what differs on the host from the model, by name.
func (m *mount) changes(d *dir, name string) ([]change, error) {
	files, err := hostFiles(name)
	if err != nil {
		return nil, err
	}
	var all []change
	for _, h := range files {
		n := d.names[h.name]
		if n == nil {
			all = append(all, change{h.name, 0, h.size, 0, true})
			continue
		}
		if n.file.ino != h.ino {
			continue
		}
		from, to, err := n.file.differs(filepath.Join(name, h.name), h.size, h.name == d.tail())
		if err != nil {
			return nil, err
		}
		if to > from {
			all = append(all, change{h.name, from, to, n.file.now.size, false})
		}
	}
	return all, nil
}

// differs is the stretch of a host's file that is not as the model has it, up
// to size; none when they agree. The library writes within a file only where it
// is the tail.
func (f *file) differs(name string, size int64, tail bool) (from, to int64, err error) {
	from, to = min(size, f.now.size), size
	if !tail || from == 0 {
		return from, to, nil
	}
	b, err := hostRead(name, 0, from)
	if err != nil {
		return 0, 0, err
	}
	was := f.now.read(0, from)
	if to == from {
		for to > 0 && was[to-1] == b[to-1] {
			to--
		}
	}
	from = 0
	for from < min(to, int64(len(was))) && was[from] == b[from] {
		from++
	}
	return from, to, nil
}

// cutBack leaves the first room bytes of what was changed, and what was there
// before in place of the rest. A file that was made behind the cut was not made.
func cutBack(d *dir, dir string, changed []change, room int64) error {
	cut := false
	for _, c := range changed {
		full, keep := filepath.Join(dir, c.name), min(room, max(0, c.to-c.from))
		if c.created && cut {
			if err := hostRemove(full); err != nil {
				return err
			}
			continue
		}
		end := c.from + keep
		if c.to > c.was {
			if err := hostTruncate(full, max(end, c.was)); err != nil {
				return err
			}
		}
		if end < c.was {
			old := d.names[c.name].file.now
			if err := hostPatch(full, end, old.read(end, min(c.to, c.was)-end)); err != nil {
				return err
			}
		}
		room -= keep
		cut = cut || keep < c.to-c.from
	}
	return nil
}

// learn brings the model to what the host has now, and returns the changes of
// names in the order that the library made them.
func (m *mount) learn(d *dir, name string) ([]nameOp, error) {
	files, err := hostFiles(name)
	if err != nil {
		return nil, err
	}
	tail := d.tail()
	known := map[uint64]string{}
	for base, n := range d.names {
		if n.file != nil {
			known[n.file.ino] = base
		}
	}
	here := map[string]bool{}
	var fresh, moved []nameOp
	for _, h := range files {
		here[h.name] = true
		switch was, old := known[h.ino], d.names[h.name]; {
		case was == "":
			fresh = append(fresh, nameOp{to: h.name, node: &node{file: newFile(h.ino)}})
		case was != h.name:
			moved = append(moved, nameOp{from: was, to: h.name, node: d.names[was]})
		default:
			if err := pull(old.file, filepath.Join(name, h.name), h.size, h.name == tail); err != nil {
				return nil, err
			}
		}
	}
	for i := range fresh {
		if err := pull(fresh[i].node.file, filepath.Join(name, fresh[i].to), hostSize(files, fresh[i].to), false); err != nil {
			return nil, err
		}
	}
	ops := order(d, here, fresh, moved)
	for _, o := range ops {
		d.do(o)
	}
	d.syncRolled(tail)
	return ops, nil
}

// learnAppend is learn after an append, of which there are many: it writes to the
// tail, and to files that it makes, and to nothing else.
func (m *mount) learnAppend(d *dir, name string) error {
	names, err := hostNames(name)
	if err != nil {
		return err
	}
	tail := d.tail()
	for _, base := range names {
		n := d.names[base]
		if n != nil && base != tail {
			continue
		}
		full := filepath.Join(name, base)
		h, err := hostStat(full)
		if err != nil {
			return err
		}
		if h.dir {
			continue
		}
		if n == nil {
			n = &node{file: newFile(h.ino)}
			d.do(nameOp{to: base, node: n})
		}
		if err := pull(n.file, full, h.size, base == tail); err != nil {
			return err
		}
	}
	d.syncRolled(tail)
	return nil
}

func hostSize(files []hostFile, name string) int64 {
	i := slices.IndexFunc(files, func(h hostFile) bool { return h.name == name })
	return files[i].size
}

// order says in which order names changed: a roll links, an open that
// finishes a truncation removes and then renames, a truncation writes its
// temporary file, renames it, removes, and renames again.
func order(d *dir, here map[string]bool, fresh, moved []nameOp) []nameOp {
	var gone []nameOp
	left := map[string]bool{}
	for _, o := range moved {
		left[o.from] = true
	}
	for _, base := range sorted(d.names) {
		if d.names[base].file != nil && !here[base] && !left[base] {
			gone = append(gone, nameOp{from: base})
		}
	}
	i := slices.IndexFunc(fresh, func(o nameOp) bool { return d.names[o.to] != nil || len(gone) > 0 && len(moved) == 0 })
	if i < 0 {
		return slices.Concat(gone, moved, fresh)
	}
	return append(truncation(d, fresh[i], gone), slices.Delete(slices.Clone(fresh), i, i+1)...)
}

// truncation is how tidwall/wal replaces names by one rewritten file.
func truncation(d *dir, rewritten nameOp, gone []nameOp) []nameOp {
	rewritten.node.file.sync()
	suffix := ".END"
	if len(gone) > 0 && gone[len(gone)-1].from < rewritten.to {
		suffix = ".START"
	}
	mark := rewritten.to + suffix
	ops := []nameOp{{to: mark + ".TEMP", node: rewritten.node}, {from: mark + ".TEMP", to: mark, node: rewritten.node}}
	if d.names[rewritten.to] != nil {
		gone = append(gone, nameOp{from: rewritten.to})
	}
	slices.SortFunc(gone, func(a, b nameOp) int { return strings.Compare(a.from, b.from) })
	ops = append(ops, gone...)
	return append(ops, nameOp{from: mark, to: rewritten.to, node: rewritten.node})
}

// pull brings f to what the host has.
func pull(f *file, name string, size int64, tail bool) error {
	if size < f.now.size {
		f.now.truncate(size, f.touched)
	}
	from, to, err := f.differs(name, size, tail)
	if err != nil || to <= from {
		return err
	}
	b, err := hostRead(name, from, to-from)
	if err != nil {
		return err
	}
	f.now.write(from, b, f.touched)
	return nil
}

// segment says whether name is one of the library's segments.
func segment(name string) bool {
	_, err := strconv.ParseUint(name, 10, 64)
	return err == nil && len(name) == 20
}

// tail is the library's last segment.
func (d *dir) tail() (last string) {
	for base := range d.names {
		if segment(base) {
			last = max(last, base)
		}
	}
	return last
}

// syncRolled fsyncs what the library rolled away from: the tail that was, and
// every segment between it and the tail that is.
func (d *dir) syncRolled(was string) {
	is := d.tail()
	for _, base := range sorted(d.names) {
		if segment(base) && base >= was && base < is {
			d.names[base].file.sync()
		}
	}
}

// undo takes the names back to before, plus ops, on the host as well.
func (m *mount) undo(d *dir, name string, before map[string]*node, since int, ops []nameOp) error {
	d.names, d.since = before, d.since[:since]
	for _, o := range ops {
		d.do(o)
	}
	files, err := hostFiles(name)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, h := range files {
		if n := d.names[h.name]; n != nil && n.file != nil && n.file.ino == h.ino {
			there[h.name] = true
			continue
		}
		if err := hostRemove(filepath.Join(name, h.name)); err != nil {
			return err
		}
	}
	for _, base := range sorted(d.names) {
		n := d.names[base]
		if n.file == nil || there[base] {
			continue
		}
		if n.file.ino, err = hostWrite(filepath.Join(name, base), &n.file.now); err != nil {
			return err
		}
	}
	return nil
}
