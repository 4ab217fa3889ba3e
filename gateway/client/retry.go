package client

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/troupe-mq/troupe/codec"
)

// pauses are those between repetitions: from 20 ms, twice as long each time
// up to half a second, each half to one and a half times as long by chance.
func pauses() backoff.ExponentialBackOff {
	return backoff.ExponentialBackOff{
		InitialInterval: 20 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second / 2,
	}
}

// read sends a request that changes nothing, and sends it again while that
// can help, for at most RetryFor.
func (c *Client) read(ctx context.Context, tp codec.TopicPartition, r codec.Request, m codec.Message) error {
	began, pause := time.Now(), pauses()
	for {
		err := c.readOnce(ctx, tp, r, m)
		rest := pause.NextBackOff()
		if err == nil || !mayHelp(err) || time.Since(began)+rest > c.options.RetryFor {
			return err
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (c *Client) readOnce(ctx context.Context, tp codec.TopicPartition, r codec.Request, m codec.Message) error {
	l, err := c.leader(ctx, tp)
	if err != nil {
		return err
	}
	return c.heed(tp, ask(ctx, l, r, m), nil)
}

// mayHelp says whether the same request may succeed later.
func mayHelp(err error) bool {
	var e *codec.Error
	return errors.As(err, &e) && e.Code.Retriable()
}
