package world

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// truths is what must hold of what nodes show at any moment, beside what clients
// read.
type truths struct {
	states map[uint64]uint32                     // of the metadata, by revision: a checksum
	looked map[*Node]*cluster.State              // the last that each showed
	marks  map[replicaIn]mark                    // what each replica showed last
	asked  map[codec.TopicPartition]codec.Offset // the highest start that a client asked for

	behind, ahead time.Duration // how far clocks ever were
}

// replicaIn is a replica in one life of its node.
type replicaIn struct {
	life *Life
	id   codec.ReplicaID
}

type mark struct{ start, high codec.Offset }

func newTruths() truths {
	return truths{states: map[uint64]uint32{}, looked: map[*Node]*cluster.State{}, marks: map[replicaIn]mark{}, asked: map[codec.TopicPartition]codec.Offset{}}
}

// look holds the metadata of a node against what any node ever had at that
// revision: the machine makes the same of the same commands everywhere.
func (c *Cluster) look(n *Node) {
	s := n.Broker.Metadata()
	if s == nil || c.truths.looked[n] == s {
		return
	}
	c.truths.looked[n] = s
	one := *s
	one.Recent = nil                                     // a refusal is remembered, and no revision
	sum := codec.CRC32C([]byte(fmt.Sprintf("%+v", one))) // maps are printed in the order of their keys
	if was, known := c.truths.states[s.Revision]; known && was != sum {
		c.fail(fmt.Errorf("the metadata of %s at revision %d are not what another node has there: %+v", n.name, s.Revision, *s))
	}
	c.truths.states[s.Revision] = sum
}

// bounds are those of a replica, which never go back while its node lives.
func (c *Cluster) bounds(n *Node, log codec.TopicPartition, start, high codec.Offset) {
	s := n.Broker.Metadata()
	if s == nil {
		return
	}
	for _, r := range s.Topics[log.Topic].Partitions[log.Partition].Replicas {
		if r.Node != n.name {
			continue
		}
		in := replicaIn{n.Life, r.ID}
		was := c.truths.marks[in]
		if start < was.start || high < was.high {
			c.fail(fmt.Errorf("%s: replica %d of %s showed [%d, %d), and now [%d, %d)", n.Life.name, r.ID, log, was.start, was.high, start, high))
		}
		c.truths.marks[in] = mark{start, high}
	}
}

// kept says whether a log begins where somebody moved it to, or where its settings
// let it begin.
func (c *Cluster) kept(log codec.TopicPartition, start codec.Offset) error {
	bytes := int64(0)
	for o, b := range c.raw[log] {
		if o >= start {
			bytes += int64(b.bytes)
		}
	}
	t := c.atlas.newest().Topics[log.Topic].Settings
	switch {
	case start <= c.truths.asked[log]:
	case t.RetentionBytes > 0 && bytes+t.SegmentBytes >= t.RetentionBytes: // some of what was there may have been cut
	case t.RetentionTime > 0 && int64(t.RetentionTime) <= (c.truths.ahead-c.truths.behind).Milliseconds():
	default:
		return fmt.Errorf("%s begins at %d with %d bytes: it was moved to %d, and its settings keep %d bytes and %d ms", log, start, bytes, c.truths.asked[log], t.RetentionBytes, t.RetentionTime)
	}
	return nil
}

// named adds to the claims what is there at the end, as one more call that saw it.
func (c *Cluster) named() {
	topics := c.atlas.newest().Topics
	for i := range clerkNames {
		_, there := topics[clerkName(i)]
		one := check.Claim{Name: string(clerkName(i)), Make: there, Was: true, Outcome: check.OK, Call: c.moment()}
		one.Return = c.moment()
		c.claims = append(c.claims, one)
	}
}

// tidy says what a node keeps that the metadata does not know of, or lacks that it
// does; "" when it has just what it should.
func (c *Cluster) tidy() string {
	for _, n := range c.nodes {
		if !n.Up() || !n.started || c.atlas.refused(n) {
			continue
		}
		want := map[string]bool{fmt.Sprintf("g%d-r%d", codec.MetadataGroup, n.Broker.Metadata().MetadataOn(n.name)): true}
		for _, a := range n.Broker.Metadata().On(n.name) {
			want[fmt.Sprintf("g%d-r%d", a.Group, a.Replica)] = true
		}
		names, err := n.Disk.Mount().ReadDir(filepath.Join(n.Disk.Root(), "data"))
		if err != nil {
			return err.Error()
		}
		for _, e := range names {
			unfinished := strings.Contains(e.Name, ".") // swept at the next start
			if e.Dir && strings.HasPrefix(e.Name, "g") && !unfinished && !want[e.Name] {
				return fmt.Sprintf("%s keeps %s, of which the metadata know nothing", n.name, e.Name)
			}
			delete(want, e.Name)
		}
		if left := slices.Sorted(maps.Keys(want)); len(left) > 0 {
			return fmt.Sprintf("%s lacks %s", n.name, left[0])
		}
	}
	return ""
}
