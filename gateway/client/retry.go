package client

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Pauses between repetitions of a read.
const (
	pauseMin = 20 * time.Millisecond
	pauseMax = time.Second
)

// read sends a request that changes nothing, and sends it again while that
// can help, for at most RetryFor.
func (c *Client) read(ctx context.Context, tp codec.TopicPartition, r codec.Request, m codec.Message) error {
	began := time.Now()
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		err := c.readOnce(ctx, tp, r, m)
		if err == nil || !mayHelp(err) || time.Since(began)+pause > c.options.RetryFor {
			return err
		}
		timer := time.NewTimer(pause)
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
	return c.heed(tp, ask(ctx, l, r, m))
}

// mayHelp says whether the same read may succeed later.
func mayHelp(err error) bool {
	var e *codec.Error
	return errors.As(err, &e) && e.Code.Retriable()
}
