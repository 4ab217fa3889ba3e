package client

import (
	"context"
	"errors"
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Poll is the next records of one partition; partitions take turns. It waits
// until there are some or ctx ends: then the error is ctx's, beside what keeps
// records from coming, if something does. What it returned before is over.
//
// Other errors are those of one partition, and the others go on: after a
// *DamagedBatch (CORRUPT_BATCH) the following Poll goes on behind the batch,
// after any other (*Trimmed, UNKNOWN_TOPIC, CORRUPT_LOG and so on) the
// partition rests until Seek. When all rest, Poll returns the last again.
func (n *Consumer) Poll(ctx context.Context) (*Records, error) {
	r := &n.records
	r.settle()
	for {
		u, err := n.nextReady()
		if err != nil {
			return nil, err
		}
		if u == nil {
			if err := n.await(ctx); err != nil {
				return nil, err
			}
			continue
		}
		r.begin(u)
		if r.end || r.peek() {
			return r, nil
		}
		if r.broken != nil {
			broken := r.broken
			r.skipBroken()
			return nil, broken
		}
		r.settle() // nothing but what was read before
	}
}

// nextReady is the next cursor with a piece, or the error of one that failed.
func (n *Consumer) nextReady() (*cursor, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		return nil, codec.Errorf(codec.InvalidArgument, "the consumer of %q is closed", n.topic)
	}
	if len(n.ready) == 0 {
		return nil, n.allFailed()
	}
	u := n.ready[0]
	n.ready = slices.Delete(n.ready, 0, 1)
	u.listed = false
	if len(u.queue) > 0 {
		return u, nil
	}
	u.told = true
	return nil, u.failed
}

// allFailed is an error when nothing can come any more.
func (n *Consumer) allFailed() error {
	for _, u := range n.cursors {
		if u.failed == nil {
			return nil
		}
	}
	if len(n.cursors) == 0 {
		return nil
	}
	return n.cursors[len(n.cursors)-1].failed
}

// await waits until something may have come.
func (n *Consumer) await(ctx context.Context) error {
	select {
	case <-n.wake:
		return nil
	case <-n.ctx.Done():
		return nil // nextReady says so
	case <-ctx.Done():
		return errors.Join(ctx.Err(), n.trouble())
	}
}

// trouble is what keeps a partition from being read, for now.
func (n *Consumer) trouble() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, u := range n.cursors {
		if u.trouble != nil {
			return u.trouble
		}
	}
	return nil
}

// skipBroken steps over the batch that cannot be read.
func (r *Records) skipBroken() {
	r.cursor.at, r.broken, r.inBatch = r.broken.Next, nil, false
	r.settle()
}
