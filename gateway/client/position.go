package client

import (
	"github.com/troupe-mq/troupe/codec"
)

// Positions are the offsets of the records to come next: behind the last that
// Records.Next gave. A program that stores them with what it made of the
// records goes on there with ConsumerOptions.Positions.
func (n *Consumer) Positions() map[codec.Partition]codec.Offset {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[codec.Partition]codec.Offset, len(n.cursors))
	for _, u := range n.cursors {
		all[u.tp.Partition] = u.at
	}
	return all
}

// Position is that of one partition.
func (n *Consumer) Position(p codec.Partition) (codec.Offset, error) {
	u, err := n.cursor(p)
	if err != nil {
		return 0, err
	}
	return u.at, nil
}

// Seek makes at the next record of a partition. What Poll gave last is over.
// A partition that ended with an error goes on.
func (n *Consumer) Seek(p codec.Partition, at codec.Offset) error {
	u, err := n.cursor(p)
	if err != nil {
		return err
	}
	n.records.settle()
	n.mu.Lock()
	defer n.mu.Unlock()
	u.forget()
	u.at, u.next, u.failed, u.told, u.trouble = at, at, nil, false, nil
	u.poke()
	return nil
}

// Pause keeps a partition's records from Poll until Resume. What was read
// ahead stays; no more is.
func (n *Consumer) Pause(p codec.Partition) error { return n.setPaused(p, true) }

// Resume ends Pause.
func (n *Consumer) Resume(p codec.Partition) error { return n.setPaused(p, false) }

func (n *Consumer) setPaused(p codec.Partition, paused bool) error {
	u, err := n.cursor(p)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	u.paused = paused
	if paused {
		u.unlist()
		return nil
	}
	u.list()
	u.grant()
	return nil
}

func (n *Consumer) cursor(p codec.Partition) (*cursor, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, u := range n.cursors {
		if u.tp.Partition == p {
			return u, nil
		}
	}
	return nil, codec.Errorf(codec.UnknownPartition, "partition %d of %q is not read by this consumer", p, n.topic)
}
