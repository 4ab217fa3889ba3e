package client

import (
	"context"

	"github.com/troupe-mq/troupe/codec"
)

// Start is where a consumer begins to read a partition. The zero value is the
// oldest record.
type Start struct {
	how    int8
	offset codec.Offset
	time   codec.Millis
}

const (
	fromOldest int8 = iota
	fromNewest
	fromOffset
	fromTime
)

// FromOldest begins with the oldest record that is there.
func FromOldest() Start { return Start{} }

// FromNewest begins with the first record that is stored after Consumer
// returned.
func FromNewest() Start { return Start{how: fromNewest} }

// FromOffset begins with the record at o.
func FromOffset(o codec.Offset) Start { return Start{how: fromOffset, offset: o} }

// FromTime begins with the first record whose timestamp is at or after t; when
// there is none, with the next that is stored.
func FromTime(t codec.Millis) Start { return Start{how: fromTime, time: t} }

// in is the offset in a partition.
func (s Start) in(ctx context.Context, c *Client, tp codec.TopicPartition) (codec.Offset, error) {
	switch s.how {
	case fromOffset:
		return s.offset, nil
	case fromTime:
		at, _, err := c.OffsetForTime(ctx, tp, s.time)
		return at, err
	}
	oldest, newest, err := c.Offsets(ctx, tp)
	if s.how == fromNewest {
		return newest, err
	}
	return oldest, err
}
