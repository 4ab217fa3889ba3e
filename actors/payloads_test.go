package actors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// What the disk does not have yet is never forgotten, however much it is; what
// it has goes, the oldest first, above the bound.
func TestPayloadsKeepWhatTheDiskDoesNotHave(t *testing.T) {
	var p payloads
	big := make(codec.Batch, 1<<20)
	for i := range codec.Index(10) {
		p.keep(i+1, 1, []codec.Batch{big})
	}
	has := func(index codec.Index) bool { _, ok := p.find(index, 1); return ok }
	for i := range codec.Index(10) {
		require.True(t, has(i+1))
	}
	p.written(3, 1)
	require.False(t, has(1))
	require.False(t, has(3))
	require.True(t, has(4), "the disk does not have it")
	p.written(10, 1)
	require.False(t, has(6))
	require.True(t, has(7))
	require.Equal(t, int64(payloadBytesMax), p.bytes)
}

// An entry that replaces others takes the place of all behind it.
func TestPayloadsOfACutLog(t *testing.T) {
	var p payloads
	old, young := codec.Batch("old"), codec.Batch("young")
	for i := range codec.Index(5) {
		p.keep(i+1, 1, []codec.Batch{old})
	}
	p.written(5, 1)
	p.keep(3, 2, []codec.Batch{young})
	_, ok := p.find(3, 1)
	require.False(t, ok, "of a term that was cut")
	list, ok := p.find(3, 2)
	require.True(t, ok)
	require.Equal(t, []codec.Batch{young}, list)
	_, ok = p.find(4, 1)
	require.False(t, ok)
	require.Equal(t, codec.Index(2), p.durable)
	p.keep(4, 2, nil) // an entry without batches
	require.Equal(t, int64(3+3+5), p.bytes)
}

func TestPayloadsThatWereOffered(t *testing.T) {
	var p payloads
	p.offer([]payload{{index: 4, term: 2, list: []codec.Batch{codec.Batch("x")}}})
	require.Nil(t, p.claim(4, 1))
	require.NotNil(t, p.claim(4, 2))
	p.declined()
	require.Nil(t, p.claim(4, 2))
}

// The disk says that it has what was cut meanwhile: of what took its place it
// says nothing.
func TestPayloadsThatReplacedOthersAreOnTheirWay(t *testing.T) {
	var p payloads
	big := make(codec.Batch, 3<<20)
	for i := range codec.Index(4) {
		p.keep(i+1, 1, []codec.Batch{big})
	}
	p.keep(2, 2, []codec.Batch{big})
	p.keep(3, 2, []codec.Batch{big})
	p.written(4, 1) // of the entries before the cut
	_, ok := p.find(2, 2)
	require.True(t, ok, "the disk does not have it")
	p.written(3, 2)
	_, ok = p.find(2, 2)
	require.False(t, ok)
}
