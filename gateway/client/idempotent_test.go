package client

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// unkind is a log's plan: chance refuses batches, for now and for good, loses
// them, and stores them so that nobody hears of it.
type unkind struct {
	log    *log
	chance *rand.Rand
	faults map[string]int
}

// plan is called with the log's lock held.
func (u *unkind) plan(b codec.Batch) error {
	switch n := u.chance.IntN(100); {
	case n < 10:
		u.faults["refused for now"]++
		return codec.Errorf(codec.Overloaded, "as planned")
	case n < 12:
		u.faults["refused for good"]++
		return codec.Errorf(codec.RecordTooLarge, "as planned")
	case n < 25:
		if _, err := u.log.accept(b); err != nil {
			return err
		}
		u.faults["stored without a word"]++
		return codec.Errorf(codec.Unknown, "as planned")
	case n < 30:
		u.faults["lost without a word"]++
		return codec.Errorf(codec.Unknown, "as planned")
	}
	return nil
}

// hurry ends the time of the first n parcels of a lane.
func (l *lane) hurry(n int) {
	l.mu.Lock()
	for _, q := range l.parcels[:min(len(l.parcels), n)] {
		q.deadline = time.Now()
	}
	l.mu.Unlock()
	l.producer.look()
}

// Whatever is refused, lost, stored without a word or given up: each record has
// the fate that it was told, none is stored twice, and those that are stored
// stand in the order in which they were sent.
func TestAnIdempotentProducerStoresOnceInOrder(t *testing.T) {
	first := givenSeed()
	faults, epochs, unknown := map[string]int{}, 0, 0
	for seed := first; seed < first+60; seed++ {
		u := &unkind{chance: rand.New(rand.NewPCG(seed, 9)), faults: faults}
		c, l := planned(t, u.plan)
		l.mu.Lock()
		u.log = l
		l.mu.Unlock()
		p, err := c.Producer(t.Context(), "t", ProducerOptions{BatchBytes: 100, Linger: -1})
		require.NoError(t, err)
		require.True(t, p.idempotent)
		p.lane(0).pause.InitialInterval = time.Microsecond
		p.lane(0).pause.MaxInterval = 100 * time.Microsecond
		f := newFates()
		const n = 150 // records, each a batch of its own
		chance := rand.New(rand.NewPCG(seed, 10))
		for i := range n {
			require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: fmt.Appendf(nil, "%060d", i)}, f.tell(i)))
			if chance.IntN(40) == 0 {
				p.lane(0).hurry(1 + chance.IntN(3))
			}
		}
		err = p.Close(t.Context())
		require.Equal(t, len(f.stored) == n, err == nil, "seed %d: Close said %v, %d are stored", seed, err, len(f.stored))
		c.Close()
		again := fmt.Sprintf("TROUPE_CLIENT_SEED=%d go test -count=1 -run '^TestAnIdempotentProducerStoresOnceInOrder$' ./gateway/client", seed)
		require.Equal(t, n, len(f.stored)+len(f.unknown)+len(f.refused), again)
		f.judge(t, []*log{l}, false, again)
		inOrder(t, l.stored(t), again)
		epochs += int(p.lane(0).numbers.who.Epoch)
		unknown += len(f.unknown)
	}
	require.Len(t, faults, 4)
	require.Positive(t, epochs)
	require.Positive(t, unknown)
	t.Logf("%v, %d further epochs, %d records UNKNOWN", faults, epochs, unknown)
}

// inOrder says whether numbers never go back.
func inOrder(t *testing.T, values []string, says string) {
	last := -1
	for _, value := range values {
		var i int
		_, err := fmt.Sscanf(value, "%d", &i)
		require.NoError(t, err)
		require.Less(t, last, i, says)
		last = i
	}
}

// put sends one record and returns what it was told.
func put(t *testing.T, p *Producer, value string) (codec.Offset, error) {
	type answer struct {
		at  codec.Offset
		err error
	}
	told := make(chan answer, 1)
	require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: []byte(value)}, func(_ codec.Partition, at codec.Offset, err error) { told <- answer{at, err} }))
	a := <-told
	return a.at, a.err
}

// script is a plan that answers batch after batch: with an error, or as usual
// where there is none.
type script struct {
	mu   sync.Mutex
	says []error
	then error // behind them
	sent []codec.Batch
}

func (s *script) say(says ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says = says
}

func (s *script) plan(b codec.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, append(codec.Batch(nil), b...))
	if len(s.says) == 0 {
		return s.then
	}
	err := s.says[0]
	s.says = s.says[1:]
	return err
}

// numbers are those of the batches that came: id, epoch and sequence.
func (s *script) numbers() (all [][3]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.sent {
		all = append(all, [3]int64{b.ProducerID(), int64(b.ProducerEpoch()), int64(b.BaseSequence())})
	}
	return all
}

// scripted is an idempotent producer that sends each record as a batch, and the
// log that it sends to.
func scripted(t *testing.T, says ...error) (*Producer, *log, *script) {
	s := &script{says: says}
	c, l := planned(t, s.plan)
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Linger: -1, BatchBytes: 100})
	require.NoError(t, err)
	p.lane(0).pause.InitialInterval = time.Microsecond
	return p, l, s
}

var (
	tooLarge = codec.Errorf(codec.RecordTooLarge, "as planned")
	noAnswer = codec.Errorf(codec.Unknown, "as planned")
	noRoom   = codec.Errorf(codec.DiskFull, "as planned")
	fenced   = codec.Errorf(codec.Fenced, "as planned")
	again    = codec.Errorf(codec.DuplicateSequence, "as planned")
)

// A batch that was given up leaves a hole, which the partition would refuse all
// others for: the producer goes on with the next epoch.
func TestBehindABatchThatWasGivenUpTheNextEpochBegins(t *testing.T) {
	p, l, s := scripted(t, nil, tooLarge)
	for i, want := range []error{nil, codec.E(codec.RecordTooLarge), nil, nil} {
		at, err := put(t, p, fmt.Sprint(i))
		require.ErrorIs(t, err, want)
		if err == nil {
			require.Equal(t, codec.Offset(max(0, i-1)), at)
		}
	}
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.RecordTooLarge))
	require.Equal(t, []string{"0", "2", "3"}, l.stored(t))
	require.Equal(t, [][3]int64{{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}}, s.numbers())
}

// What was in flight behind it is refused for the hole, or gets no answer. It
// cannot have been stored, and is sent again.
func TestWhatWasInFlightBehindABatchThatWasGivenUpIsSentAgain(t *testing.T) {
	p, l, s := scripted(t, tooLarge, nil, noAnswer)
	l.mu.Lock() // the broker says nothing until four are in flight
	f := newFates()
	for i := range 4 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: fmt.Appendf(nil, "%080d", i)}, f.tell(i)))
	}
	for aloft := 0; aloft < 4; {
		p.lane(0).mu.Lock()
		aloft = p.lane(0).aloft
		p.lane(0).mu.Unlock()
	}
	l.mu.Unlock()
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.RecordTooLarge))
	require.Equal(t, map[int]codec.Offset{1: 0, 2: 1, 3: 2}, f.stored)
	require.Equal(t, [][3]int64{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 3}, {0, 1, 0}, {0, 1, 1}, {0, 1, 2}}, s.numbers())
}

// A batch that may be stored is UNKNOWN when it is given up, whatever the last
// answer said.
func TestWhatMayBeStoredIsToldUnknown(t *testing.T) {
	p, _, _ := scripted(t, noAnswer, tooLarge)
	_, err := put(t, p, "x")
	require.EqualError(t, err, "UNKNOWN: PRODUCE: no answer, and when it was sent again: RECORD_TOO_LARGE: as planned")
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.Unknown))

	p, _, s := scripted(t, noAnswer)
	s.say(noAnswer)
	s.mu.Lock()
	s.then = noRoom
	s.mu.Unlock()
	p.options.DeliverWithin = 500 * time.Millisecond // of parcels to come: the refusal has to come before it, on a busy machine too
	_, err = put(t, p, "x")
	require.ErrorIs(t, err, codec.E(codec.Unknown))
	require.ErrorContains(t, err, "DISK_FULL")
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.Unknown))
}

// A batch that was sent again is stored where it was first stored; when the log
// does not remember where, it is told so.
func TestABatchThatIsSentAgainIsStoredOnce(t *testing.T) {
	s := &script{}
	c, l := planned(t, nil)
	l.mu.Lock()
	l.plan = func(b codec.Batch) error {
		err := s.plan(b)
		if err == noAnswer {
			_, _ = l.accept(b)
		}
		return err
	}
	l.mu.Unlock()
	p, err := c.Producer(t.Context(), "t", ProducerOptions{Linger: -1})
	require.NoError(t, err)
	p.lane(0).pause.InitialInterval = time.Microsecond
	s.say(nil, noAnswer, nil, noAnswer, again)
	for i, want := range []codec.Offset{0, 1, NoOffset} {
		at, err := put(t, p, fmt.Sprint(i))
		require.NoError(t, err)
		require.Equal(t, want, at)
	}
	require.NoError(t, p.Close(t.Context()))
	require.Equal(t, []string{"0", "1", "2"}, l.stored(t))
}

// A log that forgot a producer is told so by it: it begins the next epoch, and
// nothing is lost or doubled. What may have been stored before is UNKNOWN.
func TestAProducerThatWasForgottenBeginsAnew(t *testing.T) {
	p, l, s := scripted(t)
	forget := func() { l.mu.Lock(); l.ledger = nil; l.mu.Unlock() }
	_, err := put(t, p, "0")
	require.NoError(t, err)
	forget()
	at, err := put(t, p, "1")
	require.NoError(t, err)
	require.Equal(t, codec.Offset(1), at)
	require.Equal(t, [][3]int64{{0, 0, 0}, {0, 0, 1}, {0, 1, 0}}, s.numbers())
	s.say(nil, noAnswer)
	_, err = put(t, p, "2")
	require.NoError(t, err)
	forget()
	_, err = put(t, p, "3")
	require.ErrorIs(t, err, codec.E(codec.Unknown))
	_, err = put(t, p, "4")
	require.NoError(t, err)
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.Unknown))
	require.Equal(t, []string{"0", "1", "2", "4"}, l.stored(t))
}

// Two that have one id, after a restore of old metadata perhaps: the batch is
// refused, for it is not the one that is stored, and the producer gets another
// id. So it does when there are no more epochs.
func TestAnotherIDBegins(t *testing.T) {
	p, l, s := scripted(t, fenced, nil, again, nil, tooLarge)
	for i, want := range []error{codec.E(codec.Fenced), nil, codec.E(codec.DuplicateSequence), nil} {
		_, err := put(t, p, fmt.Sprint(i))
		require.ErrorIs(t, err, want)
	}
	p.lane(0).mu.Lock()
	p.lane(0).numbers.who.Epoch = math.MaxInt16
	p.lane(0).mu.Unlock()
	_, err := put(t, p, "4")
	require.ErrorIs(t, err, codec.E(codec.RecordTooLarge))
	_, err = put(t, p, "5")
	require.NoError(t, err)
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.Fenced))
	require.Equal(t, []string{"1", "3", "5"}, l.stored(t))
	require.Equal(t, [][3]int64{{0, 0, 0}, {1, 0, 0}, {1, 0, 1}, {2, 0, 0}, {2, math.MaxInt16, 1}, {3, 0, 0}}, s.numbers())
}

// One before the hole may still be stored, or is already: it is sent again first,
// as what it was.
func TestWhatIsBeforeAHoleComesFirst(t *testing.T) {
	p, l, s := scripted(t)
	s.mu.Lock() // the broker says nothing until two are in flight
	f := newFates()
	for i := range 3 {
		require.NoError(t, p.Produce(t.Context(), codec.Record{Timestamp: 1, Value: fmt.Appendf(nil, "%080d", i)}, f.tell(i)))
	}
	s.says = []error{noAnswer, tooLarge, nil, noAnswer}
	s.mu.Unlock()
	require.ErrorIs(t, p.Close(t.Context()), codec.E(codec.RecordTooLarge))
	require.Equal(t, map[int]codec.Offset{0: 0, 2: 1}, f.stored)
	numbers := s.numbers()
	require.Equal(t, [][3]int64{{0, 0, 0}, {0, 0, 0}, {0, 1, 0}}, numbers[len(numbers)-3:])
	require.Len(t, l.stored(t), 2)
}

// A log remembers five batches of a producer, so no more are in flight.
func TestFiveAreInFlight(t *testing.T) {
	c, _ := planned(t, nil)
	for want, o := range map[int]ProducerOptions{5: {MaxInFlight: 64}, 3: {MaxInFlight: 3}, 64: {MaxInFlight: 64, NotIdempotent: true}} {
		p, err := c.Producer(t.Context(), "t", o)
		require.NoError(t, err)
		require.Equal(t, want, p.lane(0).window())
		require.NoError(t, p.Close(t.Context()))
	}
}

// Sequences go round behind 2^31-1.
func TestSequencesGoRound(t *testing.T) {
	p, l, s := scripted(t)
	_, err := put(t, p, "0")
	require.NoError(t, err)
	l.mu.Lock()
	l.ledger[0].due = math.MaxInt32
	l.mu.Unlock()
	p.lane(0).mu.Lock()
	p.lane(0).numbers.next = math.MaxInt32
	p.lane(0).mu.Unlock()
	for i := range 3 {
		_, err := put(t, p, fmt.Sprint(1+i))
		require.NoError(t, err)
	}
	require.NoError(t, p.Close(t.Context()))
	require.Equal(t, [][3]int64{{0, 0, 0}, {0, 0, math.MaxInt32}, {0, 0, 0}, {0, 0, 1}}, s.numbers())
}
