package client

import (
	"github.com/troupe-mq/troupe/codec"
)

// Trimmed is an error of Consumer.Poll: records between the position and the
// oldest that is there were trimmed away, by retention or by an operator.
type Trimmed struct {
	codec.TopicPartition
	Position, Oldest codec.Offset // [Position, Oldest) is gone
}

// Error says what is gone.
func (e *Trimmed) Error() string { return e.Unwrap().Error() }

// Unwrap is a *codec.Error with the code OFFSET_OUT_OF_RANGE.
func (e *Trimmed) Unwrap() error {
	return codec.Errorf(codec.OffsetOutOfRange, "%v: the records [%d, %d) were trimmed away: Seek goes on elsewhere", e.TopicPartition, e.Position, e.Oldest)
}
