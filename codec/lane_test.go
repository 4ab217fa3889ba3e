package codec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A letter's lane: small ones by control, but appends and snapshots of
// consensus all by bulk, so that they keep their order.
func TestLanes(t *testing.T) {
	raft := func(message []byte, batches ...Batch) [][]byte {
		return (&RaftLetter{Raft: message, Payloads: batches}).Encode()
	}
	for name, c := range map[string]struct {
		parts [][]byte
		want  Lane
	}{
		"a vote":             {raft([]byte{8, 5, 16, 2}), LaneControl},
		"a heartbeat":        {raft([]byte{8, 8, 16, 2}), LaneControl},
		"an append":          {raft([]byte{8, 3, 16, 2}), LaneBulk},
		"an answer to it":    {raft([]byte{8, 4, 16, 2}), LaneControl},
		"one with a batch":   {raft([]byte{8, 3}, someBatch(t, "x")), LaneBulk},
		"a snapshot":         {raft([]byte{8, 7}), LaneBulk},
		"another order":      {raft([]byte{16, 2, 8, 3}), LaneControl},
		"no message":         {raft(nil), LaneControl},
		"a small ask":        {[][]byte{(&Ask{Command: []byte{8, 3}}).Encode()}, LaneControl},
		"a large ask":        {[][]byte{(&Ask{Command: make([]byte, ControlBytesMax)}).Encode()}, LaneBulk},
		"as large as may be": {[][]byte{make([]byte, ControlBytesMax)}, LaneControl},
		"nothing":            {nil, LaneControl},
		"a byte":             {[][]byte{{1}}, LaneControl},
	} {
		require.Equal(t, c.want, LaneOf(c.parts), name)
	}
	require.Equal(t, "control", LaneControl.String())
	require.Equal(t, "bulk", LaneBulk.String())
}
