package main

import (
	"math"

	"github.com/troupe-mq/troupe/codec"
)

// numberedMax is how many numbered batches of a partition may be in flight: a log
// remembers as many of each producer.
const numberedMax = 5

// numbers numbers the batches to one partition, as an idempotent producer does.
type numbers struct {
	who    *codec.ProducerIdentity // nil when they are not numbered
	next   int32                   // sequence
	sent   int                     // batches
	copies []codec.Batch           // as many as may be in flight, for answers come in order
}

// write is b with the next number, in memory that no batch in flight has. Without
// an identity it is b itself.
func (n *numbers) write(b codec.Batch) codec.Batch {
	if n.who == nil {
		return b
	}
	at := n.sent % len(n.copies)
	if len(n.copies[at]) != len(b) { // batches of one bench are the same but for the last
		n.copies[at] = append(codec.Batch(nil), b...)
	}
	n.copies[at].SetProducer(n.who.ID, n.who.Epoch, n.next)
	n.next = int32((int64(n.next) + int64(b.Count())) & math.MaxInt32)
	n.sent++
	return n.copies[at]
}
