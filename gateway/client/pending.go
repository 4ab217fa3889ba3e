package client

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/troupe-mq/troupe/codec"
)

// waiter waits for the answer to a request.
type waiter interface {
	// answered is called exactly once for each request that was taken, on the
	// link's goroutine, and must not wait. The answer is only valid within the
	// call, but for a buffer that was kept.
	answered(a *answer, err error)
	// left is called when the link holds nothing of the request any more: its
	// memory may be used again. It comes once, behind answered.
	left()
}

// answer is a response, and the memory that it lies in.
type answer struct {
	codec.Envelope
	buffer *buffer
}

// keep makes the receiver the owner of the answer's memory.
func (a *answer) keep() *buffer {
	b := a.buffer
	a.buffer = nil
	return b
}

// pending is a request without an answer. Two hold it: the writer until it is
// written, and the table of those who wait until it is answered.
type pending struct {
	id    uint32
	op    codec.Op
	about codec.TopicPartition // that is asked of; no topic when it is none
	frame codec.Frame
	head  []byte // memory for the frame's head
	sent  bool   // at least a part of it may have left
	pulse bool   // a ping of the link's own, which holds no slot
	who   waiter
	holds atomic.Int32
}

var pendings = sync.Pool{New: func() any { return &pending{head: make([]byte, 0, 256)} }}

func newPending(op codec.Op, who waiter) *pending {
	p := pendings.Get().(*pending)
	p.op, p.who, p.sent, p.pulse, p.about = op, who, false, false, codec.TopicPartition{}
	p.holds.Store(2)
	return p
}

// encode makes the frame; it is valid until both have dropped p.
func (p *pending) encode(r codec.Request) {
	p.frame = codec.EncodeRequest(p.head, p.id, r)
	p.head = p.frame.Head[:0]
}

// drop is called once by each of the two.
func (p *pending) drop() {
	if p.holds.Add(-1) == 0 {
		who := p.who
		p.who, p.frame = nil, codec.Frame{}
		pendings.Put(p)
		who.left()
	}
}

// partitionOf is what a request is about; no topic when it is not about one partition.
func partitionOf(r codec.Request) codec.TopicPartition {
	switch r := r.(type) {
	case *codec.Produce:
		return r.TopicPartition
	case *codec.Fetch:
		return r.TopicPartition
	case *codec.Subscribe:
		return r.TopicPartition
	case *codec.OffsetsQuery:
		return r.TopicPartition
	case *codec.Trim:
		return r.TopicPartition
	case *codec.Transfer:
		return r.TopicPartition
	}
	return codec.TopicPartition{}
}

// changes says whether an operation leaves something behind.
func changes(op codec.Op) bool {
	switch op {
	case codec.OpProduce, codec.OpCreateTopic, codec.OpAlterTopic, codec.OpDeleteTopic, codec.OpTrim, codec.OpChangeReplicas, codec.OpTransfer, codec.OpRemoveNode:
		return true
	}
	return false
}

// sortPending puts requests in the order they were made. Ids wrap around, so
// it is the distance that counts.
func sortPending(all []*pending) {
	slices.SortFunc(all, func(a, b *pending) int { return int(int32(a.id - b.id)) })
}
