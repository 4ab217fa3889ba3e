package link

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// Whatever comes on a lane is letters, words, or the end: none is longer than
// the limit, and put together again they are what came.
func FuzzLane(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 'o', 'k', 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 4, 1})
	f.Add([]byte{0, 0, 0, 9, 'h'})
	f.Fuzz(func(t *testing.T, p []byte) {
		const most = 1 << 10
		from := bufio.NewReaderSize(bytes.NewReader(p), 16)
		var again []byte
		for {
			letter, err := nextLetter(from, most)
			if err == errGoodbye {
				again = binary.BigEndian.AppendUint32(again, codec.LaneGoodbye)
				break
			}
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF {
					require.ErrorIs(t, err, codec.E(codec.FrameTooLarge))
				}
				break
			}
			require.LessOrEqual(t, len(letter), most)
			again = append(binary.BigEndian.AppendUint32(again, uint32(len(letter))), letter...)
		}
		require.True(t, bytes.HasPrefix(p, again))
	})
}
