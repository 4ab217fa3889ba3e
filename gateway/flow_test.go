package gateway

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// until waits for what another goroutine is about to do.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		require.True(t, time.Now().Before(deadline), what)
		runtime.Gosched()
	}
}

func (p *fakePartition) setHold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = on
}

// The partition answers the last produce first; a refusal is there at once.
// The client still gets them in the order it asked.
func TestAnswersToOnePartitionKeepTheirOrder(t *testing.T) {
	b := newFakeBroker("t", 2)
	p := b.at("t", 0)
	p.setHold(true)
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	var ids []uint32
	for i := range 5 {
		ids = append(ids, w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, fmt.Sprint(i))}))
	}
	undecodable := w.send(&codec.Produce{TopicPartition: tp0, Records: []codec.Record{{Timestamp: 1}}, Compression: 9})
	bad := w.send(&codec.Produce{TopicPartition: tp0})
	other := w.send(&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Batch: batchOf(t, 0, "x")})
	require.Equal(t, other, w.receive().ID, "another partition does not wait")
	until(t, "five are held", func() bool { return p.heldNow() == 5 })
	p.let(nil)
	for _, id := range append(ids, undecodable, bad) {
		require.Equal(t, id, w.receive().ID)
	}
}

func TestALongPollHoldsUpNobody(t *testing.T) {
	b := newFakeBroker("t", 1)
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	poll := w.send(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 1 << 20, MaxWait: 60_000})
	w.call(&codec.Ping{}, &codec.Empty{})
	produce := w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, "now")})
	got := map[uint32]codec.Envelope{}
	for range 2 {
		e := w.receive()
		require.NoError(t, e.Err())
		got[e.ID] = e
	}
	require.Contains(t, got, produce)
	var f codec.Fetched
	e := got[poll]
	require.NoError(t, e.Decode(&f))
	require.Equal(t, codec.Offset(1), f.HighWatermark)
	require.NotEmpty(t, f.Batches)
}

func TestALongPollEndsEmpty(t *testing.T) {
	_, addr := start(t, newFakeBroker("t", 1), Limits{FetchWait: 5 * time.Millisecond})
	w := open(t, addr)
	var f codec.Fetched
	w.call(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 1 << 20, MaxWait: 60_000}, &f)
	require.Empty(t, f.Batches)
}

func TestMinBytesWaitsForMore(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	_, addr := start(t, b, Limits{})
	w := open(t, addr)
	one := batchOf(t, 0, "one")
	poll := w.send(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 1 << 20, MaxWait: 60_000, MinBytes: 2*len(one) - 1})
	until(t, "it waits", func() bool { return p.waiting() == 1 })
	p.store(one)
	until(t, "it waits for more", func() bool { return p.waiting() == 1 })
	p.store(one)
	e := w.receive()
	require.Equal(t, poll, e.ID)
	var f codec.Fetched
	require.NoError(t, e.Decode(&f))
	require.Len(t, f.Batches, 2*len(one))
}

// At a limit the gateway stops reading; nothing is refused, nothing is lost.
func TestBackPressure(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.setHold(true)
	_, addr := start(t, b, Limits{InFlight: 4})
	w := open(t, addr)
	for range 10 {
		w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, "x")})
	}
	until(t, "four are held", func() bool { return p.heldNow() == 4 })
	require.Never(t, func() bool { return p.heldNow() > 4 }, 50*time.Millisecond, 5*time.Millisecond)
	p.setHold(false)
	p.let(nil)
	for range 10 {
		require.NoError(t, w.receive().Err())
	}
}

// Memory of a batch is used again only after a good answer: what a failed
// partition may still hold must not change under it.
func TestMemoryOfARefusedBatchIsNotUsedAgain(t *testing.T) {
	b := newFakeBroker("t", 2)
	keeper := &keeping{fakePartition: b.at("t", 0)}
	_, addr := start(t, &keepingBroker{b, keeper}, Limits{})
	w := open(t, addr)
	var want []codec.Batch
	for i := range 50 {
		batch := batchOf(t, 0, fmt.Sprintf("%0500d", i))
		want = append(want, batch)
		require.Contains(t, w.refused(&codec.Produce{TopicPartition: tp0, Batch: batch}), "UNKNOWN: the disk died")
		w.call(&codec.Produce{TopicPartition: codec.TopicPartition{Topic: "t", Partition: 1}, Batch: batchOf(t, 0, fmt.Sprintf("%0600d", i))}, &codec.Produced{})
	}
	keeper.guard.Lock()
	defer keeper.guard.Unlock()
	require.Equal(t, want, keeper.kept)
}

// keeping answers that nothing is known, and keeps the batches.
type keeping struct {
	*fakePartition
	guard sync.Mutex
	kept  []codec.Batch
}

func (k *keeping) Produce(_ context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	k.guard.Lock()
	k.kept = append(k.kept, b)
	k.guard.Unlock()
	reply(codec.Produced{}, codec.Errorf(codec.Unknown, "the disk died"))
	return nil
}

type keepingBroker struct {
	*fakeBroker
	keeper *keeping
}

func (b *keepingBroker) Partition(tp codec.TopicPartition) (Partition, error) {
	if tp == tp0 {
		return b.keeper, nil
	}
	return b.fakeBroker.Partition(tp)
}

func TestCloseAnswersWhatIsInFlight(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.setHold(true)
	s := New(b, Options{})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	w := open(t, addr.String())
	poll := w.send(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 1 << 20, MaxWait: 60_000})
	produce := w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, "x")})
	until(t, "it is held", func() bool { return p.heldNow() == 1 })
	done := make(chan error)
	go func() { done <- s.Close(context.Background()) }()
	e := w.receive()
	require.Equal(t, poll, e.ID, "a long poll ends")
	require.NoError(t, e.Err())
	p.let(nil)
	e = w.receive()
	require.Equal(t, produce, e.ID)
	require.NoError(t, e.Err())
	require.EqualError(t, w.receive().Err(), "STOPPING: the broker is shutting down")
	w.closed()
	require.NoError(t, <-done)
	require.Zero(t, s.Connections())
	_, err = s.Listen("127.0.0.1:0")
	require.ErrorIs(t, err, codec.E(codec.Stopping))
	require.Zero(t, p.waiting())
}

// draining says whether no connection takes requests any more.
func (s *Server) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.mu.Lock()
		draining := c.draining
		c.mu.Unlock()
		if !draining {
			return false
		}
	}
	return true
}

// A client that pipelines has sent more than was read when Close comes. What
// was carried out is answered all the same: a close with bytes unread would
// be a reset, which throws answers away.
func TestCloseUnderAClientThatPipelines(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.setHold(true)
	s := New(b, Options{Limits: Limits{InFlight: 4}})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	w := open(t, addr.String())
	send := func(n int) {
		for range n {
			w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, string(make([]byte, 20_000)))})
		}
	}
	send(20)
	until(t, "four are held", func() bool { return p.heldNow() == 4 })
	done := make(chan error)
	go func() { done <- s.Close(context.Background()) }()
	until(t, "it takes no more", s.draining)
	send(20) // it does not know yet
	p.let(nil)
	for range 4 {
		require.NoError(t, w.receive().Err())
	}
	require.EqualError(t, w.receive().Err(), "STOPPING: the broker is shutting down")
	send(20)
	w.closed()
	require.NoError(t, w.conn.Close())
	require.NoError(t, <-done)
}

func TestCloseCutsWhatDoesNotEnd(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.setHold(true)
	p.credit = make(chan struct{}, 1)
	s := New(b, Options{})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	w := open(t, addr.String())
	w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, "held")})
	w.send(&codec.Produce{TopicPartition: tp0, Batch: batchOf(t, 0, "waits for credit")})
	until(t, "one is held", func() bool { return p.heldNow() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Close(ctx), context.DeadlineExceeded)
	require.Zero(t, s.Connections())
	p.let(nil) // an answer after the end harms nobody
}

// A connection that has only just come must not hold Close up for as long as
// its handshake may take.
func TestAConnectionStoppedBeforeItBegan(t *testing.T) {
	s := New(newFakeBroker("t", 1), Options{Limits: Limits{Handshake: time.Hour}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	w := raw(t, l.Addr().String())
	nc, err := l.Accept()
	require.NoError(t, err)
	c := newConn(s, nc)
	c.stop()
	ended := make(chan struct{})
	go func() { c.run(); close(ended) }()
	require.EqualError(t, w.receive().Err(), "STOPPING: the broker is shutting down")
	w.closed()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("it still waits for the magic")
		_ = w.conn.Close()
		<-ended
	}
}

// A client that goes away leaves nothing behind.
func TestClientsThatVanish(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	s, addr := start(t, b, Limits{})
	for range 20 {
		w := open(t, addr)
		w.send(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 1 << 20, MaxWait: 60_000})
		require.NoError(t, w.conn.Close())
	}
	until(t, "all are gone", func() bool { return s.Connections() == 0 && p.waiting() == 0 })
}

// A client that reads nothing is let go, and memory stays bounded.
func TestAClientThatDoesNotRead(t *testing.T) {
	b := newFakeBroker("t", 1)
	p := b.at("t", 0)
	p.max = 8 << 20
	p.store(batchOf(t, 0, string(make([]byte, 4<<20))))
	s, addr := start(t, b, Limits{Write: 50 * time.Millisecond})
	w := open(t, addr)
	for range 100 {
		w.send(&codec.Fetch{TopicPartition: tp0, Offset: 0, MaxBytes: 8 << 20})
	}
	until(t, "it was let go", func() bool { return s.Connections() == 0 })
}
