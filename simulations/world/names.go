package world

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// node is a file or a directory: one of the two is set.
type node struct {
	file *file
	dir  *dir
}

// dir is what the disk knows of one directory: its names as a process sees
// them, its names as the last SyncDir left them, and what was done between.
type dir struct {
	names, synced map[string]*node
	since         []nameOp
	broken        bool // a SyncDir failed: none makes anything durable while the process lives
	hung          bool // a SyncDir hangs
}

// nameOp is one change of a directory: from goes, to comes. A rename has
// both.
type nameOp struct {
	from, to string
	node     *node
}

func newDir() *dir { return &dir{names: map[string]*node{}, synced: map[string]*node{}} }

func (o nameOp) apply(names map[string]*node) {
	if o.from != "" {
		delete(names, o.from)
	}
	if o.to != "" {
		names[o.to] = o.node
	}
}

func (d *dir) do(o nameOp) {
	o.apply(d.names)
	d.since = append(d.since, o)
}

func (d *dir) link(name string, n *node) { d.do(nameOp{to: name, node: n}) }

func (d *dir) unlink(name string) { d.do(nameOp{from: name}) }

func (d *dir) rename(from, to string) { d.do(nameOp{from: from, to: to, node: d.names[from]}) }

func (d *dir) sync() {
	if !d.broken {
		d.synced, d.since = maps.Clone(d.names), nil
	}
}

// mend forgets failed SyncDirs of a process that is gone. A journal that could
// not commit either stops the file system or commits with what comes next, so
// unlike the pages of a file, names do not stay behind for ever.
func (d *dir) mend() {
	d.broken, d.hung = false, false
	for _, n := range d.names {
		if n.dir != nil {
			n.dir.mend()
		}
	}
}

// crashed is the names that a power cut may leave: a prefix of what was done
// since the last SyncDir.
func (d *dir) crashed(mode Mode, chance *rand.Rand) map[string]*node {
	n := len(d.since)
	switch mode {
	case Kept:
		return d.names
	case Lost:
		n = 0
	case Torn:
		n = chance.IntN(n + 1)
	}
	names := maps.Clone(d.synced)
	for _, o := range d.since[:n] {
		o.apply(names)
	}
	return names
}

func sorted(names map[string]*node) []string { return slices.Sorted(maps.Keys(names)) }

// entry is one file or directory of a picture of the disk.
type entry struct {
	name    string // from the root, with slashes
	dir     bool
	content content
}

// picture is a whole disk after a crash; parents come before what is in them.
type picture []entry

// picture draws what a crash may leave below d.
func (d *dir) picture(under string, mode Mode, chance *rand.Rand) picture {
	var all picture
	names := d.crashed(mode.forNames(chance), chance)
	for _, name := range sorted(names) {
		n, full := names[name], path.Join(under, name)
		if n.dir != nil {
			all = append(all, entry{name: full, dir: true})
			all = append(all, n.dir.picture(full, mode, chance)...)
			continue
		}
		all = append(all, entry{name: full, content: n.file.crashed(mode.forFile(chance), chance)})
	}
	return all
}

// tree is the disk that holds exactly p, all of it durable. The files' host
// numbers are filled in by whoever writes them.
func (p picture) tree() *dir {
	root := newDir()
	dirs := map[string]*dir{"": root}
	for _, e := range p {
		under, name := path.Split(e.name)
		parent := dirs[strings.TrimSuffix(under, "/")]
		n := &node{}
		if e.dir {
			n.dir = newDir()
			dirs[e.name] = n.dir
		} else {
			n.file = newFile(0)
			n.file.now, n.file.synced = e.content, e.content.clone()
		}
		parent.names[name], parent.synced[name] = n, n
	}
	return root
}
