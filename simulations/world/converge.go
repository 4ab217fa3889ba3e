package world

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// converge waits until all replicas have one watermark, then reads each.
func (c *Cluster) converge(log codec.TopicPartition, within time.Duration) error {
	var handles []*actors.Handle
	var nodes []*Node
	for _, n := range c.nodes {
		if h, err := n.Broker.Partition(log); err == nil && !c.atlas.excused(n, log) {
			handles, nodes = append(handles, h), append(nodes, n)
		}
	}
	same := func() bool {
		_, first, err := handles[0].Bounds()
		for _, h := range handles[1:] {
			_, high, e := h.Bounds()
			if err != nil || e != nil || high != first {
				return false
			}
		}
		return err == nil
	}
	if err := c.run(same, within); err != nil {
		return fmt.Errorf("the replicas of %s do not become equal: %w", log, err)
	}
	if err := c.compare(log, handles, within); err != nil {
		return err
	}
	for i, h := range handles {
		start, high, err := h.Bounds()
		if err != nil {
			return err
		}
		c.story.history.Start[log] = max(start, c.story.history.Start[log])
		_, err = c.readAll(h, log, c.story.newSession(fmt.Sprintf("last reading of replica %d", i)), start, high)
		if codec.CodeOf(err) == codec.NotLeader && c.atlas.damageOf(nodes[i], log) != nil {
			// It is found, and not served; the others have it.
			err = c.run(func() bool { return c.atlas.excused(nodes[i], log) }, within)
		}
		if err != nil {
			return fmt.Errorf("last reading of %s: %w", log, err)
		}
		c.look(nodes[i])
	}
	return c.kept(log, c.story.history.Start[log])
}

// compare holds what replicas derived from their logs against each other, once
// all of them are at one index.
func (c *Cluster) compare(log codec.TopicPartition, handles []*actors.Handle, within time.Duration) error {
	var got []actors.Inspection
	left := 0
	ask := func() {
		got, left = make([]actors.Inspection, len(handles)), len(handles)
		for i, h := range handles {
			h.Inspect(func(one actors.Inspection, err error) {
				one.Ahead = one.Ahead || err != nil
				got[i] = one
				left--
			})
		}
	}
	ask()
	err := c.run(func() bool {
		if left != 0 {
			return false
		}
		for _, one := range got {
			if one.Ahead || one.Index != got[0].Index {
				left = -1 // asked again soon
				c.w.After(20*time.Millisecond, "client", ask)
				return false
			}
		}
		return true
	}, within)
	if err != nil {
		return fmt.Errorf("the replicas of %s do not come to one index: %w", log, err)
	}
	for _, one := range got[1:] {
		if one != got[0] {
			return fmt.Errorf("%s: as of entry %d one replica has %+v, another %+v", log, one.Index, got[0], one)
		}
	}
	return nil
}

// readAll reads [from, limit) of one replica as one session, and what else is in the
// last batch: next is behind it.
func (c *Cluster) readAll(h *actors.Handle, log codec.TopicPartition, session string, from, limit codec.Offset) (next codec.Offset, err error) {
	for from < limit {
		call := c.story.moment()
		p, err := h.Read(nil, from, 1+c.chance.IntN(30<<10))
		if err != nil {
			return from, err
		}
		if len(p) == 0 {
			return from, fmt.Errorf("read of %s at %d gave nothing below the watermark %d", log, from, limit)
		}
		if err := c.sameBytes(log, p); err != nil {
			return from, err
		}
		if from, err = c.story.took(log, session, call, from, p); err != nil {
			return from, err
		}
	}
	return from, nil
}

// rawBatch stands for the bytes of a batch.
type rawBatch struct {
	crc   uint32
	bytes int
}

// sameBytes holds batches against what any replica ever served at their offsets:
// a batch is the same bytes everywhere and for ever.
func (c *Cluster) sameBytes(log codec.TopicPartition, p []byte) error {
	have := c.raw[log]
	if have == nil {
		have = map[codec.Offset]rawBatch{}
		c.raw[log] = have
	}
	for len(p) > 0 {
		b := codec.Batch(p)
		b = b[:b.Size()]
		is := rawBatch{codec.CRC32C(b), len(b)}
		if was, known := have[b.BaseOffset()]; known && was != is {
			return fmt.Errorf("%s: the batch at offset %d is not the bytes that it was", log, b.BaseOffset())
		}
		have[b.BaseOffset()] = is
		p = p[len(b):]
	}
	return nil
}

// searchWithin is how long a search for a linear order may take, of the time
// that does not count: what it has not found by then is counted as undecided.
const searchWithin = 5 * time.Second
