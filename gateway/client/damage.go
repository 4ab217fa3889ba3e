package client

import (
	"errors"

	"github.com/troupe-mq/troupe/codec"
)

// DamagedBatch is an error of Reader.Next: a batch that came as it was stored
// and cannot be read. Reading can go on at the offset Next.
type DamagedBatch struct {
	codec.TopicPartition
	Base, Next codec.Offset // the batch is that of the offsets [Base, Next)
	why        error
}

// Error names the batch and says what is wrong with it.
func (e *DamagedBatch) Error() string { return e.Unwrap().Error() }

// Unwrap is a *codec.Error with the code CORRUPT_BATCH.
func (e *DamagedBatch) Unwrap() error {
	why := e.why.Error()
	var inner *codec.Error
	if errors.As(e.why, &inner) {
		why = inner.Message // the code is said once
	}
	return codec.Errorf(codec.CorruptBatch, "%v: the batch of the offsets [%d, %d) cannot be read: %s", e.TopicPartition, e.Base, e.Next, why)
}

func (r *Reader) damaged(why error) error {
	b := r.batch
	tp := codec.TopicPartition{Topic: r.topic, Partition: r.chunk.cursor.partition}
	return &DamagedBatch{TopicPartition: tp, Base: b.BaseOffset(), Next: behind(b), why: why}
}
