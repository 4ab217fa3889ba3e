package world

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/scenario"
	"github.com/troupe-mq/troupe/wal"
)

// patch is a piece of a file that may rot: bytes that were durable and that
// somebody counts on.
type patch struct {
	group       codec.GroupID // 0: who the node is
	kind        string        // wal, segment, hard, snapshot, identity
	file        string
	from, limit int64 // of an entry, a batch, or what else has a checksum
	most        int64 // where the durable bytes of the file end
}

// name is the word of a scenario for it.
func (p patch) name() string {
	if p.group == codec.MetadataGroup {
		return "metadata"
	}
	return p.kind
}

// strikeRot kills a node and lets a piece of one of its files rot, if the atlas
// has room for it; then the node starts again.
func (c *Cluster) strikeRot(f scenario.Fault) {
	for _, n := range c.targets(f.Args[0]) {
		if c.atlas.elsewhere(n) {
			continue
		}
		allowed := map[codec.GroupID]bool{}
		for g := range c.atlas.replicas() {
			allowed[g] = c.atlas.allows(n, g)
		}
		logs := map[codec.GroupID]codec.TopicPartition{}
		for g := range allowed {
			logs[g] = c.atlas.logOf(g)
		}
		c.kill(n, c.mode(f.With["disk"]))
		if p, ok := c.choose(n, f.With["file"], allowed); ok {
			c.rot(n, p, logs[p.group], f.With["how"])
		}
		c.reviveIn(n, f.For(c.upTo(2*time.Second)))
	}
}

// choose draws a piece: first of which kind, so that the rare ones have their
// turn.
func (c *Cluster) choose(n *Node, word string, allowed map[codec.GroupID]bool) (p patch, ok bool) {
	kinds := map[string][]patch{}
	for _, p := range c.patches(n, allowed) {
		kinds[p.name()] = append(kinds[p.name()], p)
	}
	if word == "" || word == "any" {
		words := sortedWords(kinds)
		if len(words) == 0 {
			return p, false
		}
		word = words[c.chance.IntN(len(words))]
	}
	list := kinds[word]
	if len(list) == 0 {
		return p, false
	}
	return list[c.chance.IntN(len(list))], true
}

func sortedWords(m map[string][]patch) (words []string) {
	for w := range m {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

// patches are all pieces of a node's files that may rot now.
//
// What stands in the last group of a log is spared, where nothing proves that it
// was ever fsynced: it may be a torn write, and is taken for one
// (docs/OPERATIONS.md, the one case that cannot be told apart).
func (c *Cluster) patches(n *Node, allowed map[codec.GroupID]bool) (all []patch) {
	inject := n.Disk.inject
	n.Disk.Inject(nil)
	defer n.Disk.Inject(inject)
	fs, data := n.Disk.Mount(), filepath.Join(n.Disk.Root(), "data")
	names, err := fs.ReadDir(data)
	if err != nil {
		return nil
	}
	for _, e := range names {
		var g codec.GroupID
		var r codec.ReplicaID
		if _, err := fmt.Sscanf(e.Name, "g%d-r%d", &g, &r); err == nil && e.Dir && !strings.Contains(e.Name, ".") && allowed[g] {
			all = append(all, c.patchesOf(fs, filepath.Join(data, e.Name), g)...)
		}
		if e.Name == "node.json" && allowed[codec.MetadataGroup] {
			all = append(all, patch{kind: "identity", file: filepath.Join(data, e.Name), limit: e.Size, most: e.Size})
		}
	}
	return all
}

// patchesOf are those of one replica: each entry and each batch that is known to
// have been fsynced, the slots of the hard state, the newest snapshot.
func (c *Cluster) patchesOf(fs wal.FS, dir string, g codec.GroupID) (all []patch) {
	var list []wal.Inspection
	r, err := wal.Inspect(fs, dir, func(i *wal.Inspection) error {
		list = append(list, *i)
		return nil
	})
	if err != nil || r.Slots < 2 || r.Quarantined != "" {
		return nil // it is damaged already, or in the middle of something
	}
	most := map[string]int64{}
	add := func(kind, file string, from, limit int64) {
		all = append(all, patch{group: g, kind: kind, file: file, from: from, limit: limit})
		most[file] = max(most[file], limit)
	}
	kind := func(name string) string {
		if r.Hard.Log > 0 {
			name = fmt.Sprintf("%s.%d", name, r.Hard.Log)
		}
		return filepath.Join(dir, name)
	}
	for _, i := range list {
		if i.Index > r.Proven {
			break
		}
		add("wal", i.File, i.At, i.End)
		if i.Batch != nil {
			add("segment", filepath.Join(kind("seg"), fmt.Sprintf("%020d.seg", i.Place.Segment)), i.Place.Position, i.Place.Position+int64(len(i.Batch)))
		}
	}
	for slot := range int64(2) {
		add("hard", filepath.Join(dir, "hard"), slot*slotBytes, slot*slotBytes+slotUsed)
	}
	if names, err := fs.ReadDir(kind("snap")); err == nil && len(names) > 0 {
		newest := names[len(names)-1]
		add("snapshot", filepath.Join(kind("snap"), newest.Name), 0, newest.Size)
	}
	for i := range all {
		all[i].most = most[all[i].file]
		if all[i].kind == "hard" {
			all[i].most = all[i].limit // never both slots
		}
	}
	return all
}

// A slot of the hard state, and how much of it is always in use.
const (
	slotBytes = 4096
	slotUsed  = 120
)

// rot damages p: a bit turns, or zeros are read from somewhere in it to the end of
// the sector or of the page.
func (c *Cluster) rot(n *Node, p patch, log codec.TopicPartition, how string) {
	if how == "" {
		how = []string{"bit", "sector", "page"}[c.chance.IntN(3)]
	}
	at := p.from + c.chance.Int64N(p.limit-p.from)
	end := at
	switch how {
	case "sector":
		at -= at % sectorBytes
		end = at + sectorBytes
	case "page":
		end = at - at%pageBytes + pageBytes
	}
	at, end = max(at, p.from), min(end, p.most)
	if end > at {
		if old, err := hostRead(p.file, at, end-at); err != nil || zero(old) {
			how = "bit"
		}
	}
	var err error
	if how == "bit" {
		err = n.Disk.FlipBit(p.file, at, c.chance.IntN(8))
	} else {
		err = n.Disk.ZeroRange(p.file, at, end)
	}
	if err != nil {
		c.fail(err)
		return
	}
	rel, err := n.Disk.rel(p.file)
	c.fail(err)
	var g, id int
	if _, err := fmt.Sscanf(rel, "data/g%d-r%d", &g, &id); err != nil && p.group != 0 {
		c.fail(fmt.Errorf("%s is of no replica: %w", rel, err))
	}
	d := &damage{node: n, group: p.group, id: codec.ReplicaID(id), log: log, kind: p.kind, file: rel, what: fmt.Sprintf("rotted at byte %d (%s)", at, how)}
	c.atlas.damaged = append(c.atlas.damaged, d)
	c.struck["rot "+p.name()]++
	c.w.Note("nemesis", d.String(), uint64(at))
}
