package client

import (
	"context"
	"sync"

	"github.com/troupe-mq/troupe/codec"
)

// single is a ready batch on its way.
type single struct {
	client  *Client
	route   *route
	request codec.Produce
	got     codec.Produced
	done    func(codec.Produced, error)
}

var singles = sync.Pool{New: func() any { return new(single) }}

// ProduceBatch sends one ready batch and returns; it waits only while as many
// requests are in flight as the server allows. When it returns nil, done is
// called exactly once, must not wait, and gets the place of the batch in the
// log or an error; an error with code UNKNOWN means that the batch may or may
// not be there. When ProduceBatch returns an error nothing was sent and done
// is not called. The batch's memory must not change before done, and is the
// caller's again only when done's error is nil.
//
// Batches of one partition are stored in the order of the calls, but for one whose
// outcome is UNKNOWN: it may turn up behind later ones. Each is sent once: what to
// do about an error is the caller's to decide.
func (c *Client) ProduceBatch(ctx context.Context, tp codec.TopicPartition, b codec.Batch, done func(codec.Produced, error)) error {
	r, l, err := c.singlesBy(ctx, tp)
	if err != nil {
		return err
	}
	s := singles.Get().(*single)
	*s = single{client: c, route: r, request: codec.Produce{TopicPartition: tp, Batch: b}, done: done}
	if err := l.send(ctx, &s.request, s); err != nil {
		c.arrived(tp, r)
		return err
	}
	return nil
}

func (s *single) answered(a *answer, err error) {
	if err == nil {
		err = placed(a, &s.got)
	}
	s.client.arrived(s.request.TopicPartition, s.route)
	s.done(s.got, s.client.heed(s.request.TopicPartition, err, nil))
}

func (s *single) left() {
	*s = single{}
	singles.Put(s)
}

// placed reads the answer to PRODUCE.
func placed(a *answer, into *codec.Produced) error {
	*into = codec.Produced{}
	if err := a.Decode(into); err != nil { // it was stored, but where?
		return codec.Errorf(codec.Unknown, "answer to PRODUCE: %v", err)
	}
	return nil
}
