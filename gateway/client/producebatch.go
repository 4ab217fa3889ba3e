package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
)

// ProduceBatch sends one ready batch and returns; it waits only while as many
// requests are in flight as the server allows. When it returns nil, done is
// called exactly once, must not wait, and gets the place of the batch in the
// log or an error; an error with code UNKNOWN means that the batch may or may
// not be there. When ProduceBatch returns an error nothing was sent and done
// is not called. The batch's memory must not change before done, and is the
// caller's again only when done's error is nil.
//
// Batches of one partition are stored in the order of the calls.
func (c *Client) ProduceBatch(ctx context.Context, tp codec.TopicPartition, b codec.Batch, done func(codec.Produced, error)) error {
	l, err := c.leader(ctx, tp)
	if err != nil {
		return err
	}
	return l.send(ctx, &codec.Produce{TopicPartition: tp, Batch: b}, func(e codec.Envelope, err error) {
		var p codec.Produced
		if err == nil {
			if err = e.Decode(&p); err != nil { // it was stored, but where?
				err = codec.Errorf(codec.Unknown, "answer to PRODUCE: %v", err)
			}
		}
		done(p, c.heed(tp, err))
	})
}
