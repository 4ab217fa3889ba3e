package client

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// ledger is what a log knows of idempotent producers: the rules of PROTOCOL.md,
// written down a second time for the broker in memory. The test below holds them
// against a real broker.
type ledger map[int64]*entry

// entry is one producer: its epoch, the sequence that is due, and its last five
// batches.
type entry struct {
	epoch int16
	due   int32
	kept  []kept
}

type kept struct {
	first, count int32
	base         codec.Offset
}

// judge says what becomes of a batch that is not to be stored: it was before, at
// base, or it is refused.
func (l ledger) judge(b codec.Batch) (again bool, base codec.Offset, err error) {
	id, epoch, first := b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	if id < 0 {
		return false, 0, nil
	}
	e := l[id]
	switch {
	case e == nil || epoch > e.epoch:
		if first != 0 {
			return false, 0, codec.Errorf(codec.SequenceGap, "epoch %d of producer %d begins with %d", epoch, id, first)
		}
		return false, 0, nil
	case epoch < e.epoch:
		return false, 0, codec.Errorf(codec.Fenced, "epoch %d of producer %d, known is %d", epoch, id, e.epoch)
	case first == e.due:
		return false, 0, nil
	}
	for _, k := range e.kept {
		if k.first == first && k.count == b.Count() {
			return true, k.base, nil
		}
	}
	if ahead := uint32(first-e.due) & sequenceMask; ahead < 1<<30 {
		return false, 0, codec.Errorf(codec.SequenceGap, "producer %d sent %d, %d is due", id, first, e.due)
	}
	return false, 0, codec.Errorf(codec.DuplicateSequence, "producer %d sent %d again, %d is due", id, first, e.due)
}

// take notes a batch that is stored at base.
func (l ledger) take(b codec.Batch, base codec.Offset) {
	id := b.ProducerID()
	if id < 0 {
		return
	}
	e := l[id]
	if e == nil || e.epoch != b.ProducerEpoch() {
		e = &entry{epoch: b.ProducerEpoch()}
		l[id] = e
	}
	if len(e.kept) == 5 {
		e.kept = e.kept[1:]
	}
	e.kept = append(e.kept, kept{b.BaseSequence(), b.Count(), base})
	e.due = int32((int64(b.BaseSequence()) + int64(b.Count())) & sequenceMask)
}

// Whatever producers number their batches, the broker in memory of these tests
// answers what a real one does.
func TestTheLedgerJudgesAsABrokerDoes(t *testing.T) {
	seed := givenSeed()
	t.Logf("TROUPE_CLIENT_SEED=%d go test -count=1 -run '^TestTheLedgerJudgesAsABrokerDoes$' ./gateway/client", seed)
	chance := rand.New(rand.NewPCG(seed, 11))
	b, err := actors.Start(t.Context(), actors.Config{Dir: t.TempDir(), Node: "n1"})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close(context.Background())) }()
	created := make(chan error, 1)
	b.CreateTopic(codec.CreateTopic{Topic: "t", Partitions: 1, Settings: map[string]string{"durability": "os"}}, func(_ codec.TopicDescription, err error) { created <- err })
	require.NoError(t, <-created)
	h, err := b.Partition(tp0)
	require.NoError(t, err)
	model := &log{}
	first := ready(t, "first")
	_, err = model.accept(first)
	require.NoError(t, err)
	for _, err = stored(h, first); codec.CodeOf(err) == codec.Unavailable; _, err = stored(h, first) { // it opens
	}
	require.NoError(t, err)
	codes := map[codec.Code]int{}
	for i := range 5000 {
		batch := someNumber(t, chance, model.ledger)
		want, wantErr := model.accept(batch)
		got, gotErr := stored(h, batch)
		require.Equal(t, codec.CodeOf(wantErr), codec.CodeOf(gotErr), "batch %d, producer %d/%d/%d of %d: %v, and the ledger: %v",
			i, batch.ProducerID(), batch.ProducerEpoch(), batch.BaseSequence(), batch.Count(), gotErr, wantErr)
		require.Equal(t, want, got, "batch %d", i)
		codes[codec.CodeOf(wantErr)]++
	}
	require.Len(t, codes, 4, "%v", codes)
}

// someNumber is a batch of one of a few producers, whose number is about what
// is due.
func someNumber(t *testing.T, chance *rand.Rand, known ledger) codec.Batch {
	values := []string{"x", "y", "z"}[:1+chance.IntN(3)]
	b := ready(t, values...)
	id := int64(chance.IntN(4))
	if id == 3 {
		return b // of nobody
	}
	e := known[id]
	if e == nil {
		e = &entry{}
	}
	epoch, first := e.epoch, e.due
	switch n := chance.IntN(20); {
	case n < 3 && len(e.kept) > 0:
		k := e.kept[chance.IntN(len(e.kept))]
		first = k.first
	case n < 6:
		first = max(0, first+int32(chance.IntN(16))-12)
	case n == 6:
		first = 0
	case n == 7 && chance.IntN(5) == 0:
		epoch, first = epoch+1, int32(chance.IntN(2))
	case n == 8:
		epoch = max(0, epoch-1)
	}
	b.SetProducer(id, epoch, first)
	return b
}

// stored sends one batch to a partition of a real broker and waits.
func stored(h *actors.Handle, b codec.Batch) (codec.Offset, error) {
	type answer struct {
		at  codec.Produced
		err error
	}
	told := make(chan answer, 1)
	if err := h.Produce(context.Background(), append(codec.Batch(nil), b...), func(p codec.Produced, err error) { told <- answer{p, err} }); err != nil {
		return 0, err
	}
	a := <-told
	return a.at.Base, a.err
}

// givenSeed is TROUPE_CLIENT_SEED, or one of now.
func givenSeed() uint64 {
	if seed, err := strconv.ParseUint(os.Getenv("TROUPE_CLIENT_SEED"), 10, 64); err == nil {
		return seed
	}
	return uint64(time.Now().UnixNano())
}
