package actors

import (
	"github.com/troupe-mq/troupe/codec"
)

// Link moves letters between brokers: each arrives once, or not at all.
type Link interface {
	// Send takes the parts of one letter for another broker. It does not wait;
	// what cannot leave is lost. The parts stay the link's, and nobody changes
	// them any more.
	Send(to codec.NodeID, parts [][]byte)
}

// Founding makes a new cluster of several brokers at once. Each of them is
// started with the same.
type Founding struct {
	Cluster codec.UUID
	// Nodes are all of them. The metadata group has a replica on each.
	Nodes []codec.NodeID
}

// Joining makes a new directory that of a node which a cluster has let in:
// Broker.Admit of one of its brokers says as what.
type Joining struct {
	Cluster codec.UUID
	// Replica is the one of the metadata that the node was given.
	Replica codec.ReplicaID
}

// Hear takes a letter that the link brought from another broker. It may be
// called from any goroutine and waits for nothing. The letter's memory stays
// the broker's.
func (b *Broker) Hear(from codec.NodeID, letter []byte) {
	if err := b.hear(from, letter); err != nil {
		b.house.refused("a letter was refused", "from", from, "error", err)
	}
}

// Lost says that the process of another broker has ended: its link was closed,
// and nobody answers there. Those that it led look for another leader at
// once.
func (b *Broker) Lost(node codec.NodeID) { b.house.toBroker(&gone{node}) }

// warnEvery is the least between warnings of letters that are refused, ms: whoever sends
// one sends many.
const warnEvery = 60_000

// refused counts what another broker sent in vain, and says so now and then.
func (h *house) refused(what string, more ...any) {
	n, now := h.tallies.lettersRefused.Add(1), int64(h.clock.Now())
	if last := h.warned.Load(); (n == 1 || now-last >= warnEvery) && h.warned.CompareAndSwap(last, now) {
		h.log.Warn(what, append(more, "refused so far", n)...)
	}
}

// gone tells the keeper, and by it each partition, that a broker has ended.
type gone struct{ node codec.NodeID }
