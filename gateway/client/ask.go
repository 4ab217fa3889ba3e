package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
)

// question is a request that somebody waits for.
type question struct {
	got  codec.Envelope
	told chan error // room for one
}

// answered keeps the answer for who asked. A decoded message may keep parts
// of the frame, so its memory is not used again.
func (q *question) answered(a *answer, err error) {
	a.keep()
	q.got = a.Envelope
	q.told <- err
}

func (q *question) left() {}

// ask sends r on l and waits for the answer, decoded into m.
func ask(ctx context.Context, l *link, r codec.Request, m codec.Message) error {
	q := &question{told: make(chan error, 1)}
	if err := l.send(ctx, r, q); err != nil {
		return err
	}
	select {
	case err := <-q.told:
		if err != nil {
			return err
		}
		return q.got.Decode(m)
	case <-ctx.Done():
		if changes(r.Op()) {
			return codec.Errorf(codec.Unknown, "%v: no answer yet: %v", r.Op(), ctx.Err())
		}
		return ctx.Err()
	}
}
