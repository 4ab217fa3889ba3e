package client

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

func TestMain(m *testing.M) {
	if os.Getenv(sinkEnv) != "" {
		serveSink()
		return
	}
	goleak.VerifyTestMain(m)
}

// memory is a broker in memory for the gateway.
type memory struct {
	mu     sync.Mutex
	topics map[codec.Topic][]*log
	leader string       // when set, partitions are led there
	node   codec.NodeID // its name, n1 when empty
	named  codec.NodeID // who leads, as it says; itself when empty
	nodes  []codec.MetadataNode

	producers atomic.Int64
}

func newMemory(topic codec.Topic, partitions int) *memory {
	m := &memory{topics: map[codec.Topic][]*log{}}
	m.make(topic, partitions)
	return m
}

func (m *memory) make(topic codec.Topic, n int) {
	for range n {
		m.topics[topic] = append(m.topics[topic], &log{waiters: map[*watcher]struct{}{}})
	}
}

func (m *memory) Identity() gateway.Identity {
	return gateway.Identity{Node: cmp.Or(m.node, "n1"), Version: "test"}
}

func (m *memory) Nodes() []codec.MetadataNode { return m.nodes }

// name says who leads from now on.
func (m *memory) name(leader codec.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.named = leader
}

func (m *memory) Partition(tp codec.TopicPartition) (gateway.Partition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leader != "" {
		return nil, &codec.Error{Code: codec.NotLeader, Message: "ask there", Leader: m.leader}
	}
	all := m.topics[tp.Topic]
	if int(tp.Partition) >= len(all) {
		return nil, codec.Errorf(codec.UnknownTopic, "no %v", tp)
	}
	return all[tp.Partition], nil
}

func (m *memory) Topics() []codec.TopicDescription { return nil }

func (m *memory) Topic(name codec.Topic) (codec.TopicDescription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := codec.TopicDescription{Topic: name}
	for i := range m.topics[name] {
		d.Partitions = append(d.Partitions, codec.PartitionDescription{Partition: codec.Partition(i), Leader: cmp.Or(m.named, m.node, "n1")})
	}
	if len(d.Partitions) == 0 {
		return d, codec.Errorf(codec.UnknownTopic, "topic %q does not exist", name)
	}
	return d, nil
}

func (m *memory) CreateTopic(r codec.CreateTopic, reply func(codec.TopicDescription, error)) {
	m.mu.Lock()
	m.make(r.Topic, max(1, int(r.Partitions)))
	m.mu.Unlock()
	reply(m.Topic(r.Topic))
}

func (m *memory) AlterTopic(r codec.AlterTopic, reply func(codec.TopicDescription, error)) {
	reply(m.Topic(r.Topic))
}

func (m *memory) DeleteTopic(r codec.DeleteTopic, reply func(error)) {
	m.mu.Lock()
	delete(m.topics, r.Topic)
	m.mu.Unlock()
	reply(nil)
}

func (m *memory) NewProducer(reply func(int64, error)) { reply(m.producers.Add(1)-1, nil) }

func (m *memory) ChangeReplicas(_ codec.TopicPartition, _ []codec.NodeID, reply func(error)) {
	reply(nil)
}

func (m *memory) Transfer(codec.TopicPartition, codec.NodeID) error { return nil }

func (m *memory) Trim(_ codec.TopicPartition, before codec.Offset, reply func(codec.Offset, error)) {
	reply(before, nil)
}

// log is one partition, which stores batches of idempotent producers once. While
// hold is set, produces are not stored and get no answer, until release.
type log struct {
	mu      sync.Mutex
	start   codec.Offset
	batches []codec.Batch
	waiters map[*watcher]struct{}
	hold    bool
	held    int
	late    []func()
	refuse  error
	plan    func(codec.Batch) error // asked for each batch
	ledger  ledger
}

type watcher struct {
	offset codec.Offset
	fire   func()
}

func (l *log) MaxMessageBytes() int { return 1 << 20 }

func (l *log) high() codec.Offset {
	if len(l.batches) == 0 {
		return 0
	}
	last := l.batches[len(l.batches)-1]
	return last.BaseOffset() + codec.Offset(last.Count())
}

func (l *log) Bounds() (start, highWatermark codec.Offset, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.start, l.high(), nil
}

func (l *log) Produce(_ context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	l.mu.Lock()
	if l.hold {
		l.held++
		l.late = append(l.late, func() { reply(codec.Produced{Base: 7}, l.planFor(b)) })
		l.mu.Unlock()
		return nil
	}
	refuse := l.refuse
	if refuse == nil && l.plan != nil {
		refuse = l.plan(b)
	}
	if refuse != nil {
		l.mu.Unlock()
		return refuse
	}
	base, err := l.accept(b)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	var fire []func()
	for w := range l.waiters {
		if l.high() > w.offset {
			fire = append(fire, w.fire)
		}
	}
	l.mu.Unlock()
	for _, f := range fire {
		f()
	}
	reply(codec.Produced{Base: base}, nil)
	return nil
}

// accept stores a batch, unless it is stored already or refused.
func (l *log) accept(b codec.Batch) (base codec.Offset, err error) {
	again, base, err := l.ledger.judge(b)
	if again || err != nil {
		return base, err
	}
	if l.ledger == nil {
		l.ledger = ledger{}
	}
	base = l.high()
	l.ledger.take(b, base)
	own := slices.Clone(b)
	own.Stamp(base, 1)
	l.batches = append(l.batches, own)
	return base, nil
}

// planFor is what is to become of a batch that was held.
func (l *log) planFor(b codec.Batch) error {
	if l.plan == nil {
		return nil
	}
	return l.plan(b)
}

// plans says what is done with each batch from now on.
func (l *log) plans(plan func(codec.Batch) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plan = plan
}

// holding keeps produces from now on, until release.
func (l *log) holding() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = true
}

// holds waits until so many produces are held.
func (l *log) holds(n int) {
	for held := -1; held != n; {
		l.mu.Lock()
		held = l.held
		l.mu.Unlock()
	}
}

// release answers what is held.
func (l *log) release() {
	l.mu.Lock()
	late := l.late
	l.late = nil
	l.mu.Unlock()
	for _, answer := range late {
		answer()
	}
}

func (l *log) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset < l.start || offset > l.high() {
		return nil, codec.Errorf(codec.OffsetOutOfRange, "offset %d: the log holds [%d, %d)", offset, l.start, l.high())
	}
	n := len(dst)
	for _, b := range l.batches {
		if b.BaseOffset()+codec.Offset(b.Count()) <= offset {
			continue
		}
		if len(dst) > n && len(dst)+len(b) > maxBytes {
			break
		}
		dst = append(dst, b...)
	}
	return dst, nil
}

func (l *log) Await(offset codec.Offset, wait time.Duration, done func()) func() {
	w := &watcher{offset: offset}
	forget := func() {
		l.mu.Lock()
		delete(l.waiters, w)
		l.mu.Unlock()
	}
	var once sync.Once
	w.fire = func() { once.Do(func() { forget(); done() }) }
	timer := time.AfterFunc(wait, w.fire)
	l.mu.Lock()
	passed := l.high() > offset
	l.waiters[w] = struct{}{}
	l.mu.Unlock()
	if passed {
		w.fire()
	}
	return func() { timer.Stop(); forget() }
}

func (l *log) OffsetForTime(t codec.Millis) (codec.Offset, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		if b.MaxTimestamp() >= t {
			return b.BaseOffset(), true, nil
		}
	}
	return 0, false, nil
}

// serve runs a gateway over m until the test ends; cut ends it at once.
func serve(t testing.TB, m gateway.Broker, address string) (addr string, cut func()) {
	t.Helper()
	return serveLimited(t, m, address, gateway.Limits{})
}

// serveWith serves with so many requests in flight a connection.
func serveWith(t testing.TB, m gateway.Broker, inFlight int) (addr string, cut func()) {
	t.Helper()
	return serveLimited(t, m, "127.0.0.1:0", gateway.Limits{InFlight: inFlight})
}

func serveLimited(t testing.TB, m gateway.Broker, address string, limits gateway.Limits) (addr string, cut func()) {
	t.Helper()
	s := gateway.New(m, gateway.Options{Limits: limits})
	got, err := s.Listen(address)
	require.NoError(t, err)
	cut = func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Close(ctx) // says that it was cut
	}
	t.Cleanup(cut)
	return got.String(), cut
}

func dial(t testing.TB, o Options, servers ...string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), servers, o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
