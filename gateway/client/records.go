package client

import (
	"github.com/troupe-mq/troupe/codec"
)

// Records are some records of one partition, in order:
//
//	for records.Next() {
//		use(records.Record())
//	}
//
// They are valid until the next call of a method of their Consumer. What was
// not taken by Next comes again with the next Poll, and so does, as an error,
// a batch that cannot be read and ended them early.
type Records struct {
	consumer *Consumer
	cursor   *cursor // whose first piece this is; nil when settled
	rest     []byte  // batches behind the open one
	batch    codec.Batch
	records  codec.Records
	inBatch  bool
	peeked   bool          // records stand before their current record
	broken   *DamagedBatch // the open batch, which cannot be read
	opened   []byte        // memory of decompressed batches
	of       codec.Partition
	high     codec.Offset
	end      bool
}

// Partition is whose records they are.
func (r *Records) Partition() codec.Partition { return r.of }

// HighWatermark is the offset behind the newest record when these were read.
func (r *Records) HighWatermark() codec.Offset { return r.high }

// AtEnd says that there are no records, because the end of the partition is
// reached (ConsumerOptions.TellEnd).
func (r *Records) AtEnd() bool { return r.end }

// Record is the one that Next stepped to. It shares memory with its Records,
// and is overwritten by the next call of Next; Clone keeps it.
func (r *Records) Record() *codec.Record { return r.records.Record() }

// Next steps to the next record; false when there is none.
func (r *Records) Next() bool {
	if r.cursor == nil || r.end {
		return false
	}
	if !r.peek() {
		return false
	}
	r.peeked = false
	r.cursor.at = r.records.Record().Offset + 1
	return true
}

// peek finds the next record at or behind the position.
func (r *Records) peek() bool {
	for !r.peeked {
		if r.broken != nil || !r.inBatch && !r.openNext() {
			return false
		}
		for r.records.Next() {
			if r.records.Record().Offset >= r.cursor.at {
				r.peeked = true
				return true
			}
		}
		if err := r.records.Err(); err != nil {
			r.damaged(err)
			return false
		}
		r.inBatch = false
		r.cursor.at = max(r.cursor.at, behind(r.batch))
	}
	return true
}

// behind is the offset behind a batch.
func behind(b codec.Batch) codec.Offset { return b.BaseOffset() + codec.Offset(b.Count()) }

// openNext opens the next batch that is not behind us: its CRC is checked and,
// when they are compressed, its records are unpacked. False at the end and at
// a batch that cannot be read.
func (r *Records) openNext() bool {
	var b codec.Batch
	for {
		if len(r.rest) == 0 {
			return false
		}
		var err error
		if b, r.rest, err = codec.NextBatch(r.rest); err != nil {
			panic("client: a piece that endOf passed is cut off")
		}
		if behind(b) > r.cursor.at {
			break
		}
	}
	r.batch = b
	var err error
	section := []byte(b[codec.BatchHeaderBytes:])
	if err = b.CheckHead(); err == nil && b.Compression() != codec.NoCompression {
		r.opened, err = codec.Decompress(b.Compression(), r.opened[:0], section, r.consumer.options.OpenMax)
		section = r.opened
	}
	if err != nil {
		r.damaged(err)
		return false
	}
	headers := r.records.Record().Headers
	r.records, r.inBatch = b.Records(section), true
	r.records.Record().Headers = headers[:0] // its memory, and keys that repeat
	return true
}

func (r *Records) damaged(why error) {
	r.broken = &DamagedBatch{TopicPartition: r.cursor.tp, Base: r.batch.BaseOffset(), Next: behind(r.batch), why: why}
}

// openedMax is the memory for decompressed batches that is kept.
const openedMax = 4 << 20

// begin takes the first piece of u.
func (r *Records) begin(u *cursor) {
	r.consumer.mu.Lock()
	first := u.queue[0]
	r.consumer.mu.Unlock()
	r.cursor, r.of, r.rest, r.high, r.end = u, u.tp.Partition, first.batches, first.high, first.end
	r.inBatch, r.peeked, r.broken = false, false, nil
	if cap(r.opened) > openedMax {
		r.opened = nil
	}
}

// settle gives the piece back: while something of it was not taken it stays
// its cursor's first, whole.
func (r *Records) settle() {
	u := r.cursor
	if u == nil {
		return
	}
	left := !r.end && (r.peek() || r.broken != nil)
	n := r.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	r.cursor = nil
	if !left {
		u.release()
	}
	u.list()
}
