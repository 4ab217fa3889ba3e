package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
)

// hostile is one client that nobody would like to meet: what it tries, and how.
type hostile struct {
	name string
	says string
	do   func(h *house)
}

// hostiles are all of them. Those that are in a table of their own stand
// beside what they try.
func hostiles() []hostile {
	var all []hostile
	for _, some := range [][]hostile{hostileGreetings, hostileFrames, hostileBodies, hostileBatches, hostileFlows, hostileFloods} {
		all = append(all, some...)
	}
	return all
}

// house is a real broker behind a door with tight limits, and a client that
// behaves well.
type house struct {
	*testing.T
	server *Server
	broker *actors.Broker
	addr   string
}

var hostileLimits = Limits{
	Connections: 200, AddressConns: 150, InFlight: 64, BytesInFlight: 16 << 20, BytesInFlightAll: 64 << 20, AnswerBytes: 24 << 20, Subscriptions: 32,
	Handshake: 600 * time.Millisecond, Idle: 2 * time.Second, Frame: time.Second, Write: 500 * time.Millisecond, Hurry: 100 * time.Millisecond,
	FetchWait: 300 * time.Millisecond, Heartbeat: 200 * time.Millisecond,
}

// realBroker shows a broker to the gateway, as cmd/troupe does.
type realBroker struct{ *actors.Broker }

func (b realBroker) Identity() Identity {
	cluster, node := b.Broker.Identity()
	return Identity{Cluster: cluster, Node: node, Version: "test"}
}

func (b realBroker) Partition(tp codec.TopicPartition) (Partition, error) {
	h, err := b.Broker.Partition(tp)
	if err != nil {
		return nil, err
	}
	return realPartition{h}, nil
}

func (b realBroker) DeleteTopic(r codec.DeleteTopic, reply func(error)) {
	b.Broker.DeleteTopic(r.Topic, reply)
}

func (b realBroker) Transfer(tp codec.TopicPartition, to codec.NodeID) error {
	h, err := b.Broker.Partition(tp)
	if err != nil {
		return err
	}
	return h.HandOver(to)
}

func (b realBroker) Trim(tp codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error)) {
	h, err := b.Broker.Partition(tp)
	if err != nil {
		reply(0, err)
		return
	}
	h.Trim(before, reply)
}

type realPartition struct{ *actors.Handle }

func (p realPartition) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	return p.ProduceVerified(ctx, b, reply)
}

func (p realPartition) MaxMessageBytes() int { return p.MessageBytesMax() }

func (p realPartition) OffsetForTime(t codec.Millis) (codec.Offset, bool, error) {
	o, _, found, err := p.Handle.OffsetForTime(t)
	return o, found, err
}

// newHouse starts a broker with the topics t, of two partitions, and good, for
// the client that behaves well.
func newHouse(t *testing.T) *house {
	t.Helper()
	b, err := actors.Start(t.Context(), actors.Config{Dir: t.TempDir(), Node: "n1"})
	require.NoError(t, err)
	s := New(realBroker{b}, Options{Limits: hostileLimits})
	addr, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	h := &house{T: t, server: s, broker: b, addr: addr.String()}
	t.Cleanup(func() {
		require.NoError(t, s.Close(context.Background()))
		require.NoError(t, b.Close(context.Background()))
	})
	w := h.open()
	for _, topic := range []codec.Topic{"t", "good"} {
		w.call(&codec.CreateTopic{Topic: topic, Partitions: 2, Settings: map[string]string{"segment.bytes": "4MiB"}}, &codec.TopicDescription{})
	}
	require.NoError(t, w.conn.Close())
	return h
}

// open opens a connection and says HELLO.
func (h *house) open() *wire {
	h.Helper()
	w := raw(h.T, h.addr)
	w.bytes([]byte(codec.Magic))
	w.call(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Client: "hostile", Features: []string{codec.FeatureSubscribe}}, &codec.Welcome{})
	return w
}

func (h *house) raw() *wire {
	h.Helper()
	return raw(h.T, h.addr)
}

// told expects the answer to id that refuses it, and the connection's end.
func (w *wire) told(id uint32, code codec.Code, says string) {
	w.t.Helper()
	e := w.receive()
	require.Equal(w.t, id, e.ID)
	require.Equal(w.t, code, e.Code, "%v", e.Err())
	require.ErrorContains(w.t, e.Err(), says)
	w.closed()
}

// frame puts a length in front of a body.
func frame(body ...byte) []byte {
	n := len(body)
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// bystander is the client that behaves well: it sends a batch, waits for the
// answer, is pushed what it sent, grants what it took, and looks at all of it.
// PINGs keep its connection while a push is long in coming.
type bystander struct {
	server  *Server
	t       *testing.T
	w       *wire
	log     codec.TopicPartition
	ended   chan struct{}
	stopped atomic.Bool
	rounds  atomic.Int64

	writes sync.Mutex

	mu    sync.Mutex
	took  []time.Duration // from sending a batch to its answer
	wrong error
}

func (h *house) bystander(partition codec.Partition) *bystander {
	h.Helper()
	b := &bystander{t: h.T, server: h.server, w: h.open(), log: codec.TopicPartition{Topic: "good", Partition: partition}, ended: make(chan struct{})}
	require.NoError(h, b.w.conn.SetDeadline(time.Time{}))
	go b.live()
	go b.ping()
	return b
}

// pingID is that of its PINGs; other requests count from 1.
const pingID = 1 << 31

func (b *bystander) ping() {
	tick := time.NewTicker(hostileLimits.Idle / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = b.write(codec.EncodeRequest(nil, pingID, &codec.Ping{})) // live notices an end
		case <-b.ended:
			return
		}
	}
}

func (b *bystander) write(f codec.Frame) error {
	b.writes.Lock()
	defer b.writes.Unlock()
	_, err := b.w.conn.Write(f.Bytes())
	return err
}

func (b *bystander) live() {
	defer close(b.ended)
	var a codec.Offsets
	err := b.ask(&codec.OffsetsQuery{TopicPartition: b.log}, &a)
	next, sub := a.Newest, codec.Subscribed{}
	if err == nil {
		err = b.ask(&codec.Subscribe{TopicPartition: b.log, Offset: next, Credit: 64 << 10}, &sub)
	}
	for err == nil && !b.stopped.Load() {
		if next, err = b.round(sub.Subscription, next); err == nil {
			b.rounds.Add(1)
		}
	}
	b.mu.Lock()
	b.wrong = err
	b.mu.Unlock()
}

// ask is call for a goroutine that is not the test's.
func (b *bystander) ask(r codec.Request, into codec.Message) error {
	b.w.id++
	if err := b.write(codec.EncodeRequest(nil, b.w.id, r)); err != nil {
		return err
	}
	e, err := b.next()
	if err == nil {
		err = e.Err()
	}
	if err == nil {
		err = e.Decode(into)
	}
	return err
}

func (b *bystander) next() (codec.Envelope, error) {
	for {
		p, err := b.w.in.Read(nil)
		if err != nil {
			return codec.Envelope{}, err
		}
		e, err := codec.ParseEnvelope(p)
		pong := e.Kind == codec.KindResponse && e.ID == pingID
		if err != nil || pong && e.Err() != nil {
			return e, errors.Join(err, e.Err())
		}
		if !pong && (e.Kind != codec.KindPush || e.Push != codec.PushIdle) {
			return e, nil
		}
	}
}

// round sends a batch of two and expects its answer and its push, in either
// order.
func (b *bystander) round(sub uint32, next codec.Offset) (codec.Offset, error) {
	var build codec.Builder
	for i := range 2 {
		build.Append(codec.Millis(1000+i), nil, fmt.Append(nil, next+codec.Offset(i)), nil)
	}
	batch, err := build.Build(codec.NoCompression)
	if err != nil {
		return next, err
	}
	b.w.id++
	began := time.Now()
	if err := b.write(codec.EncodeRequest(nil, b.w.id, &codec.Produce{TopicPartition: b.log, Batch: batch})); err != nil {
		return next, err
	}
	for range 2 {
		e, err := b.next()
		if err != nil {
			return next, err
		}
		if e.Kind == codec.KindResponse {
			var p codec.Produced
			if err := e.Err(); err != nil {
				return next, err
			}
			if err := e.Decode(&p); err != nil || p.Base != next {
				return next, fmt.Errorf("produced at %d, want %d (%v)", p.Base, next, err)
			}
			b.mu.Lock()
			b.took = append(b.took, time.Since(began))
			b.mu.Unlock()
			continue
		}
		if err := b.pushed(e, sub, next); err != nil {
			return next, err
		}
	}
	return next + 2, nil
}

func (b *bystander) pushed(e codec.Envelope, sub uint32, next codec.Offset) error {
	if e.Push == codec.PushEnd {
		var end codec.Ended
		return fmt.Errorf("the subscription ended: %w", fmt.Errorf("%v %v", e.Decode(&end), &end.Error))
	}
	var f codec.Fetched
	if err := e.Decode(&f); err != nil {
		return err
	}
	got, rest, err := codec.NextBatch(f.Batches)
	if err != nil || len(rest) > 0 || got.BaseOffset() != next || got.CheckHead() != nil {
		return fmt.Errorf("pushed %v at %d and %d bytes more, want %d (%v)", got.CheckHead(), got.BaseOffset(), len(rest), next, err)
	}
	return b.write(codec.EncodeOneWay(nil, &codec.Credit{Subscription: sub, Bytes: int64(f.Bytes())}))
}

// goesOn waits until it has done more rounds.
func (b *bystander) goesOn(rounds int64) {
	b.t.Helper()
	now := b.rounds.Load()
	until(b.t, "the client that behaves well goes on", func() bool {
		select {
		case <-b.ended:
			b.mu.Lock()
			defer b.mu.Unlock()
			require.NoError(b.t, b.wrong, "the client that behaves well noticed; connections were closed %v", b.server.Stats().Closed)
		default:
		}
		return b.rounds.Load() >= now+rounds
	})
}

// stop ends it and returns how long its answers took.
func (b *bystander) stop() []time.Duration {
	b.t.Helper()
	b.stopped.Store(true)
	<-b.ended
	require.NoError(b.t, b.wrong)
	require.NoError(b.t, b.w.conn.Close())
	return b.took
}

// heap is what lives in memory, bytes, and what the process has of it.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

// settled waits until only n connections are left and whatever served the
// others is gone.
func (h *house) settled(n, goroutines int) {
	h.Helper()
	until(h.T, "hostile connections are gone", func() bool { return h.server.Connections() <= n })
	until(h.T, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// peak follows the heap until stop, which returns the most that there was.
func peak() (stop func() uint64) {
	done, most := make(chan struct{}), uint64(0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, heap())
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(done); <-ended; return most }
}

// Bounds of the heap under a single hostile client and behind all of them: the
// limits above are 64 MiB of requests, 24 MiB of answers and the broker's own.
const (
	hostileHeapPeak  = 320 << 20
	hostileHeapAfter = 64 << 20
)

// TestHostileClients lets each do its worst beside a client that behaves well.
// Afterwards the broker is up, the other has not noticed, and nothing is left
// of the guest: no connection, goroutine, descriptor or memory.
func TestHostileClients(t *testing.T) {
	all := hostiles()
	require.GreaterOrEqual(t, len(all), 40)
	names := map[string]bool{}
	h := newHouse(t)
	good := h.bystander(0)
	good.goesOn(3)
	h.settled(1, math.MaxInt)
	goroutines, before := runtime.NumGoroutine()+8, descriptors(t)+8 // actors and timers come and go
	runtime.GC()
	quiet := heap()
	for _, one := range all {
		require.False(t, names[one.name], one.name)
		names[one.name] = true
		t.Run(one.name, func(t *testing.T) {
			stop := peak()
			one.do(&house{T: t, server: h.server, broker: h.broker, addr: h.addr})
			good.goesOn(2)
			most := stop()
			require.Less(t, most, quiet+hostileHeapPeak, "%s: the heap had %d MiB", one.says, most>>20)
		})
		h.settled(1, goroutines)
		require.LessOrEqual(t, descriptors(t), before, one.name)
	}
	good.goesOn(3)
	runtime.GC()
	runtime.GC() // pools let go at the second
	require.Less(t, heap(), quiet+hostileHeapAfter)
	require.NoError(t, h.broker.Ready())
	require.Equal(t, 1, h.server.Stats().Subscriptions)
	good.stop()
	until(t, "nothing is held any more", func() bool {
		st := h.server.Stats()
		return st.Connections == 0 && st.InFlightBytes == 0 && st.InFlightRequests == 0 && st.AnswerBytes == 0 && st.CreditBytes == 0
	})
	st := h.server.Stats()
	for limit, met := range st.Limits {
		require.Positive(t, met, "no hostile client met %s", limit)
	}
	t.Logf("%d hostile clients; refused %v, closed %v, limits %v, waits %v", len(all), st.Refused, st.Closed, st.Limits, st.BudgetWaits)
}
