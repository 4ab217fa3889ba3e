package client

import (
	"slices"

	"github.com/cenkalti/backoff/v5"

	"github.com/troupe-mq/troupe/codec"
)

// cursor is where a Consumer is in one partition. The consumer's lock guards
// what is not said to be the poller's.
type cursor struct {
	consumer *Consumer
	tp       codec.TopicPartition
	at       codec.Offset  // of the next record to hand out; the poller's
	kick     chan struct{} // wakes follow
	pause    backoff.ExponentialBackOff

	next    codec.Offset // of the next record to come from a server
	queue   []piece      // what came, in order; the first may be in Poll's hands
	out     int64        // credit that a server has, and bytes of the queue
	sub     *subscription
	paused  bool
	listed  bool  // in the consumer's list
	toldEnd bool  // the end at next was put into the queue
	trouble error // why nothing comes, for now
	failed  error // why nothing comes any more
	told    bool  // Poll has said so
	sought  bool  // follow must begin anew
}

// piece is what one push or fetch brought.
type piece struct {
	batches []byte // not opened yet, or the open one first
	size    int    // bytes that it counts
	buffer  *buffer
	high    codec.Offset
	end     bool // nothing but the notice of the end
}

// list puts the cursor where Poll looks, if it has something for it.
func (u *cursor) list() {
	if u.listed || u.paused || len(u.queue) == 0 && (u.failed == nil || u.told) {
		return
	}
	u.listed = true
	u.consumer.ready = append(u.consumer.ready, u)
	u.consumer.look()
}

// unlist takes it away from there.
func (u *cursor) unlist() {
	if u.listed {
		u.listed = false
		n := u.consumer
		n.ready = slices.DeleteFunc(n.ready, func(v *cursor) bool { return v == u })
	}
}

// share is the cursor's part of BufferBytes.
func (u *cursor) share() int64 {
	return min(max(int64(u.consumer.options.BufferBytes/len(u.consumer.cursors)), 1), codec.CreditMax)
}

// begun is the answer to SUBSCRIBE, on a link's goroutine.
func (u *cursor) begun(s *subscription) {
	n := u.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.sub != s {
		return
	}
	s.begun = true
	u.trouble = nil
	u.pause.Reset()
	u.tellEnd(s.got.HighWatermark)
	u.grant()
}

// arrived takes what a server pushed, on a link's goroutine, or what was
// fetched. It keeps the answer's memory.
func (u *cursor) arrived(s *subscription, f *codec.Fetched, a *answer) {
	n := u.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.sub != s {
		return // of one that is no more
	}
	end, err := endOf(f.Batches, u.next)
	if err != nil {
		s.end(err)
		return
	}
	if len(f.Batches) > 0 {
		u.next, u.toldEnd = end, false
		u.queue = append(u.queue, piece{batches: f.Batches, size: len(f.Batches), buffer: a.keep(), high: f.HighWatermark})
		if s.link == nil { // fetched: it was no credit before
			u.out += int64(len(f.Batches))
		}
	}
	u.trouble = nil
	u.pause.Reset()
	u.tellEnd(f.HighWatermark)
	u.list()
}

// tellEnd puts the notice of the end into the queue, once for each end.
func (u *cursor) tellEnd(high codec.Offset) {
	if u.consumer.options.TellEnd && u.next >= high && !u.toldEnd {
		u.toldEnd = true
		u.queue = append(u.queue, piece{high: high, end: true})
		u.list()
	}
}

// release gives up the first piece, and lets the server send as much again.
func (u *cursor) release() {
	first := u.queue[0]
	u.queue = slices.Delete(u.queue, 0, 1)
	if first.buffer != nil {
		first.buffer.free()
	}
	u.out -= int64(first.size)
	u.grant()
}

// grant gives credit in steps, not for each push.
func (u *cursor) grant() {
	share := u.share()
	bytes := share - u.out
	if u.sub == nil || u.paused || bytes < share/4 {
		return
	}
	if u.sub.link == nil {
		u.poke() // it may fetch again
		return
	}
	if u.sub.begun { // else it is for the answer to grant
		u.out += bytes
		u.sub.grant(bytes)
	}
}

// held is how many bytes the queue has.
func (u *cursor) held() (n int64) {
	for i := range u.queue {
		n += int64(u.queue[i].size)
	}
	return n
}

// forget throws away what was read ahead, and the subscription with it.
func (u *cursor) forget() {
	for _, p := range u.queue {
		if p.buffer != nil {
			p.buffer.free()
		}
	}
	u.queue, u.out, u.sub, u.toldEnd, u.sought = nil, 0, nil, false, true
	u.unlist()
}

// fail ends the partition's part until Seek.
func (u *cursor) fail(err error) {
	u.failed, u.told = err, false
	u.list()
}

// poke wakes follow.
func (u *cursor) poke() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}
