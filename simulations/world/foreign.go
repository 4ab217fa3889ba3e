package world

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Foreign lets a library change files of dir by calls of its own, and then
// looks what became of them. What it takes as given of tidwall/wal v1.2.1,
// and its tests hold the library to: a file that it rolls away from, and one
// that it rewrites to truncate, it has fsynced; names it never does.
func (m *mount) Foreign(name, what string, do func() error) error {
	var result error
	work := func() error {
		result = m.foreign(name, do)
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
func (m *mount) foreign(name string, do func() error) error {
	d, err := m.directory("open", name)
	if err != nil {
		return err
	}
	room := m.free()
	err = do()
	grown, lerr := m.growth(d, name)
	if lerr != nil {
		return lerr
	}
	if total := sum(grown); err == nil && total > room {
		if err := cutBack(name, grown, room); err != nil {
			return err
		}
		err = ENOSPC.err("write", name)
	}
	if _, lerr := m.learn(d, name); lerr != nil {
		return lerr
	}
	return err
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
		grown, err := m.growth(d, name)
		if err != nil {
			return err
		}
		if err := cutBack(name, grown, m.chance.Int64N(sum(grown)+1)); err != nil {
			return err
		}
	}
	ops, err := m.learn(d, name)
	if err != nil || what == "append" || len(ops) == 0 {
		return err
	}
	return m.undo(d, name, before, since, ops[:m.chance.IntN(len(ops)+1)])
}

// growth is a file that a library made longer, or made.
type growth struct {
	name    string
	from    int64
	to      int64
	created bool
}

func sum(grown []growth) (n int64) {
	for _, g := range grown {
		n += g.to - g.from
	}
	return n
}

// growth lists what is longer on the host than in the model, by name.
func (m *mount) growth(d *dir, name string) ([]growth, error) {
	files, err := hostFiles(name)
	if err != nil {
		return nil, err
	}
	var all []growth
	for _, h := range files {
		n := d.names[h.name]
		switch {
		case n == nil:
			all = append(all, growth{h.name, 0, h.size, true})
		case n.file.ino == h.ino && h.size > n.file.now.size:
			all = append(all, growth{h.name, n.file.now.size, h.size, false})
		}
	}
	return all, nil
}

// cutBack leaves the first room bytes of what grew. A file that was made
// behind the cut was not made.
func cutBack(dir string, grown []growth, room int64) error {
	cut := false
	for _, g := range grown {
		full, keep := filepath.Join(dir, g.name), min(room, g.to-g.from)
		if g.created && cut {
			if err := hostRemove(full); err != nil {
				return err
			}
			continue
		}
		if err := hostTruncate(full, g.from+keep); err != nil {
			return err
		}
		room -= keep
		cut = cut || keep < g.to-g.from
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
			if err := pull(old.file, filepath.Join(name, h.name), h.size); err != nil {
				return nil, err
			}
		}
	}
	for i := range fresh {
		if err := pull(fresh[i].node.file, filepath.Join(name, fresh[i].to), hostSize(files, fresh[i].to)); err != nil {
			return nil, err
		}
	}
	ops := order(d, here, fresh, moved)
	tail := d.tail()
	for _, o := range ops {
		d.do(o)
	}
	d.syncRolled(tail)
	return ops, nil
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

// pull brings f to the size that the host has, with the bytes behind its old
// end.
func pull(f *file, name string, size int64) error {
	was := f.now.size
	if size < was {
		f.now.truncate(size, f.touched)
	}
	if size <= was {
		return nil
	}
	b, err := hostRead(name, was, size-was)
	if err != nil {
		return err
	}
	f.now.write(was, b, f.touched)
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
