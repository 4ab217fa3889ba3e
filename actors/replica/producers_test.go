package replica

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/troupe-mq/troupe/codec"
)

func sent(id int64, epoch int16, sequence, count int32, base codec.Offset, time codec.Millis) codec.Descriptor {
	return codec.Descriptor{BaseOffset: base, Count: count, AppendTime: time, ProducerID: id, ProducerEpoch: epoch, BaseSequence: sequence}
}

func TestLastSequenceWraps(t *testing.T) {
	for _, c := range []struct{ first, count, last int32 }{
		{0, 1, 0}, {0, 5, 4}, {1<<31 - 1, 1, 1<<31 - 1}, {1<<31 - 1, 2, 0}, {1<<31 - 3, 5, 1},
	} {
		require.Equal(t, c.last, lastSequence(c.first, c.count), "%+v", c)
	}
}

func TestProducersRememberFive(t *testing.T) {
	p := NewProducers()
	for i := range int32(7) {
		p.Apply(sent(9, 0, 2*i, 2, codec.Offset(2*i), codec.Millis(i)))
	}
	e := p.byID[9]
	require.Len(t, e.batches, BatchesRemembered)
	require.Equal(t, remembered{first: 4, last: 5, base: 4, time: 2}, e.batches[0])
	p.Apply(sent(9, 1, 0, 1, 14, 8))
	require.Equal(t, []remembered{{first: 0, last: 0, base: 14, time: 8}}, e.batches, "a new epoch begins anew")
	p.Apply(sent(9, 0, 14, 1, 15, 9))
	require.Len(t, e.batches, 1, "an older one changes nothing")
	p.Apply(sent(-1, -1, -1, 1, 16, 9))
	require.Equal(t, 1, p.Len())
}

func TestProducersExpireByLogTime(t *testing.T) {
	p := NewProducers()
	p.Apply(sent(1, 0, 0, 1, 0, 100))
	p.Apply(sent(2, 0, 0, 1, 1, 200))
	p.Apply(sent(1, 0, 1, 1, 2, 300))
	p.Apply(sent(-1, -1, -1, 1, 3, 200+ProducerRetention))
	require.Equal(t, 2, p.Len())
	p.Apply(sent(-1, -1, -1, 1, 4, 201+ProducerRetention))
	require.Nil(t, p.byID[2])
	require.NotNil(t, p.byID[1])
	p.Apply(sent(3, 0, 0, 1, 5, 400+ProducerRetention))
	require.Equal(t, 1, p.Len())
	require.Same(t, p.oldest, p.newest)
}

// The table is a function of the descriptors, and what it exports is the
// table: replaying the rest of a log over an import gives the same bytes.
func TestProducersExport(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var log []codec.Descriptor
	for i := range 500 {
		log = append(log, sent(int64(r.IntN(40)), int16(r.IntN(3)), int32(r.IntN(100)), 1, codec.Offset(i), codec.Millis(i)*ProducerRetention/300))
	}
	whole := NewProducers()
	for _, d := range log {
		whole.Apply(d)
	}
	for cut := range log {
		half := NewProducers()
		for _, d := range log[:cut] {
			half.Apply(d)
		}
		again, err := ImportProducers(half.Export(nil))
		require.NoError(t, err)
		for _, d := range log[cut:] {
			again.Apply(d)
		}
		require.Equal(t, whole.Export(nil), again.Export(nil), "cut at %d", cut)
	}
}

func FuzzImportProducers(f *testing.F) {
	p := NewProducers()
	f.Add(p.Export(nil))
	p.Apply(sent(1, 0, 0, 1, 0, 100))
	p.Apply(sent(2, 0, 1<<31-1, 2, 1, 200))
	f.Add(p.Export(nil))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ImportProducers(b); err == nil {
			require.Equal(t, b, p.Export(nil))
		}
	})
}

func FuzzParseSnapshot(f *testing.F) {
	f.Add(Snapshot{}.Encode(nil))
	f.Add(Snapshot{ConfAsOf: 3, Next: 4, AppendTime: 5, State: []byte("state")}.Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSnapshot(b); err == nil {
			require.Equal(t, b, s.Encode(nil))
		}
	})
}

func TestFollows(t *testing.T) {
	for _, c := range []struct {
		last, first int32
		code        codec.Code
	}{
		{4, 5, codec.OK}, {4, 6, codec.SequenceGap}, {4, 4, codec.DuplicateSequence}, {4, 0, codec.DuplicateSequence},
		{1<<31 - 1, 0, codec.OK}, {1<<31 - 1, 1, codec.SequenceGap}, {0, 1<<31 - 1, codec.DuplicateSequence}, {1<<31 - 2, 3, codec.SequenceGap},
	} {
		done, err := window{last: c.last}.follows(9, c.first)
		require.Equal(t, c.code, codec.CodeOf(err), "%+v", c)
		require.Equal(t, c.code != codec.OK, done)
	}
}
