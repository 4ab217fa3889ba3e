package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// The error is that of the first line that is missing, in whatever order the
// answers came.
func TestTheFirstMissingLineIsNamed(t *testing.T) {
	tl := newTally(func(error) {})
	for range 5 {
		tl.taken(10)
	}
	tl.line(1)(0, 0, nil)
	tl.line(4)(1, 0, codec.E(codec.Unavailable))
	tl.line(3)(1, 0, codec.Errorf(codec.Unknown, "who knows"))
	tl.line(2)(0, client.NoOffset, nil)
	tl.line(5)(0, 2, nil)
	tl.fail(codec.E(codec.Stopping))
	_, err := tl.verdict("t", nil)
	require.EqualError(t, err, "produce to t: 3 records certainly stored, 1 record of unknown outcome, they may be stored or not, 1 record refused; "+
		"line 3 is the first that is not certainly stored, of those behind it 1 are: UNKNOWN: who knows")
	require.ErrorIs(t, err, codec.E(codec.Unknown))
	require.Equal(t, map[codec.Partition][2]codec.Offset{0: {0, 2}}, tl.offsets)
}
