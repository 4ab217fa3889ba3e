package world

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// atlas is the budget of what may be wrong with disks: of no log more than a
// minority of the replicas is ever damaged or lost, so that what was
// acknowledged is whole somewhere and must never be missing. A replica is
// damaged once: a second fault may hide what told of the first.
//
// (TigerBeetle's ClusterFaultAtlas does that for its own formats.)
type atlas struct {
	c       *Cluster
	damaged []*damage
	lost    []*Node
	apart   []*swapped
	moving  int // changes of replicas that were asked for and not answered
}

// used says whether anything is damaged or lost. From then on no replicas move:
// to count a replica that is damaged for a new one is beyond the budget.
func (a *atlas) used() bool {
	a.repaired()
	return len(a.damaged)+len(a.lost) > 0
}

// repaired forgets the damage of replicas that the cluster has let go: others have
// taken their place, or their topics were deleted.
func (a *atlas) repaired() {
	there := map[codec.ReplicaID]bool{}
	s := a.newest()
	if s == nil {
		return
	}
	for _, t := range s.Topics {
		for _, p := range t.Partitions {
			for _, r := range p.Replicas {
				there[r.ID] = !r.Leaving
			}
		}
	}
	a.damaged = slices.DeleteFunc(a.damaged, func(d *damage) bool { return !d.whole() && !there[d.id] })
}

// newest is the newest metadata that a node knows; nil when nobody does.
func (a *atlas) newest() (newest *cluster.State) {
	for _, n := range a.c.nodes {
		if !n.Up() {
			continue
		}
		if s := n.Broker.Metadata(); s != nil && (newest == nil || s.Revision > newest.Revision) {
			newest = s
		}
	}
	return newest
}

// elsewhere says whether a node has no disk of its own now.
func (a *atlas) elsewhere(n *Node) bool {
	return slices.Contains(a.lost, n) || slices.ContainsFunc(a.apart, func(s *swapped) bool { return s.a == n || s.b == n })
}

// damage is what was done to one replica.
type damage struct {
	node  *Node
	group codec.GroupID
	id    codec.ReplicaID      // of a topic's group
	log   codec.TopicPartition // of a topic's group
	kind  string               // of patch
	file  string               // below the root of the disk
	what  string
}

// whole says that the node cannot start with it: metadata, or who it is.
func (d *damage) whole() bool { return d.group <= codec.MetadataGroup }

func (d *damage) String() string { return fmt.Sprintf("%s of %s %s", d.file, d.node.name, d.what) }

// replicas are the nodes that hold each log, as the newest metadata has it.
func (a *atlas) replicas() map[codec.GroupID][]codec.NodeID {
	all := map[codec.GroupID][]codec.NodeID{codec.MetadataGroup: a.c.founding.Nodes}
	s := a.newest()
	if s == nil {
		return all
	}
	if len(s.Metadata) > 0 {
		all[codec.MetadataGroup] = nil
	}
	for _, r := range s.Metadata {
		if !r.Learner {
			all[codec.MetadataGroup] = append(all[codec.MetadataGroup], r.Node)
		}
	}
	for _, t := range s.Topics {
		for _, p := range t.Partitions {
			var nodes []codec.NodeID
			for _, r := range p.Staying() {
				nodes = append(nodes, r.Node)
			}
			all[p.Group] = nodes
		}
	}
	return all
}

// bad says whether the replica of a group on a node is damaged or lost.
func (a *atlas) bad(n *Node, g codec.GroupID) bool {
	return slices.Contains(a.lost, n) || slices.ContainsFunc(a.damaged, func(d *damage) bool { return d.node == n && (d.group == g || d.whole()) })
}

// allows says whether the replica of a group on a node may be damaged as well;
// of group 0 or the metadata's, the whole node.
func (a *atlas) allows(n *Node, g codec.GroupID) bool {
	if a.repaired(); a.moving > 0 || !a.c.unchanging() {
		return false
	}
	all := a.replicas()
	if len(all) == 1 && len(a.c.logs) > 0 {
		return false // nobody is up who knows
	}
	for group, nodes := range all {
		if g > codec.MetadataGroup && group != g || !slices.Contains(nodes, n.name) {
			continue
		}
		bad := 1
		for _, name := range nodes {
			if other := a.c.net.node(name); other != n && a.bad(other, group) {
				bad++
			}
		}
		if bad > (len(nodes)-1)/2 {
			return false
		}
	}
	return !a.bad(n, g)
}

// logOf is the log of a group.
func (a *atlas) logOf(g codec.GroupID) (log codec.TopicPartition) {
	for _, n := range a.c.nodes {
		if !n.Up() || n.Broker.Metadata() == nil {
			continue
		}
		for name, t := range n.Broker.Metadata().Topics {
			for i, p := range t.Partitions {
				if p.Group == g {
					return codec.TopicPartition{Topic: name, Partition: codec.Partition(i)}
				}
			}
		}
	}
	return log
}

// refused says whether a node did not start because its disk is lost, or damaged
// where the whole node is.
func (a *atlas) refused(n *Node) bool {
	if _, failure := n.Started(); failure == nil {
		return false
	}
	return slices.Contains(a.lost, n) || slices.ContainsFunc(a.damaged, func(d *damage) bool { return d.node == n && d.whole() })
}

// trouble is what the replica of a log on a node says is wrong with it.
func (a *atlas) trouble(n *Node, log codec.TopicPartition) codec.Code {
	for _, p := range n.Broker.Stats().Partitions {
		if p.Name == log {
			return p.Trouble
		}
	}
	return codec.OK
}

// excused says whether a replica need not be like the others: it is damaged, and
// quarantined, or its node is refused.
func (a *atlas) excused(n *Node, log codec.TopicPartition) bool {
	if a.refused(n) {
		return true
	}
	return a.damageOf(n, log) != nil && a.trouble(n, log) == codec.CorruptLog
}

// healing says whether a replica that is damaged, and was found so, has not been
// replaced yet.
func (a *atlas) healing() bool {
	a.repaired()
	for _, n := range a.c.nodes {
		for _, log := range a.c.logs {
			if !a.refused(n) && a.damageOf(n, log) != nil && a.trouble(n, log) == codec.CorruptLog {
				return true
			}
		}
	}
	return false
}

func (a *atlas) damageOf(n *Node, log codec.TopicPartition) *damage {
	for _, d := range a.damaged {
		if d.node == n && !d.whole() && d.log == log {
			return d
		}
	}
	return nil
}

// judge holds, at the end, what is known to be damaged against what was noticed:
// nothing but that is quarantined, and what was read or needed and does not hold
// is.
func (a *atlas) judge() error {
	for _, n := range a.c.nodes {
		if slices.Contains(a.lost, n) && n.started {
			return fmt.Errorf("%s lost its disk, and started as if nothing had been", n.name)
		}
		if a.refused(n) {
			continue
		}
		for _, log := range a.c.logs {
			if a.trouble(n, log) == codec.CorruptLog && a.damageOf(n, log) == nil {
				return fmt.Errorf("%s of %s is quarantined, and nothing was done to it", log, n.name)
			}
		}
		if n.Broker.Stats().Metadata.Trouble == codec.CorruptLog {
			return fmt.Errorf("the metadata of %s is quarantined, and it has started", n.name)
		}
	}
	a.repaired()
	for _, d := range a.damaged {
		if a.refused(d.node) || !d.whole() && a.trouble(d.node, d.log) == codec.CorruptLog {
			continue
		}
		if err := a.holds(d); err != nil {
			return fmt.Errorf("%s, and nobody noticed: %w", d, err)
		}
	}
	return nil
}

// holds reads the whole log of a replica that was damaged and is in use: the
// damage is mended, or gone, or below what can be read.
func (a *atlas) holds(d *damage) error {
	if d.group == 0 {
		return nil // it was registered as who it is, so nothing that counts is another
	}
	dir := filepath.Join(d.node.Disk.Root(), filepath.FromSlash(filepath.Dir(d.file)))
	for !strings.HasPrefix(filepath.Base(dir), "g") {
		dir = filepath.Dir(dir)
	}
	start := codec.Offset(0)
	if !d.whole() {
		h, err := d.node.Broker.Partition(d.log)
		if err != nil {
			return err
		}
		if start, _, err = h.Bounds(); err != nil {
			return err
		}
	}
	var needed error
	r, err := wal.Inspect(d.node.Disk.Mount(), dir, func(i *wal.Inspection) error {
		if i.Damage != nil && i.Descriptor.Limit() > start && needed == nil {
			needed = fmt.Errorf("entry %d: %w", i.Index, i.Damage)
		}
		return nil
	})
	switch {
	case err != nil && !wal.IsCorrupt(err):
		return err
	case needed != nil:
		return needed
	case err != nil && d.kind == "wal":
		return err
	case r == nil || r.Slots < 2:
		return fmt.Errorf("a slot of the hard state does not hold")
	}
	return nil
}
