package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// load is producers at work, each with a connection of its own. They go on
// through every error. Those that are idempotent send again what was not answered,
// and the others nothing: no record may be there twice.
type load struct {
	rec     *recorder
	servers servers
	seed    uint64
	ctx     context.Context // ends the sending
	stop    context.CancelFunc
	running sync.WaitGroup
	started int           // producers, to number them
	pace    time.Duration // between two sends of one; 0 is none

	mu  sync.Mutex
	err error // what no producer should meet
}

func newLoad(rec *recorder, servers servers, seed uint64) *load {
	l := &load{rec: rec, servers: servers, seed: seed}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// end stops the sending and returns when every answer is there.
func (l *load) end() error {
	l.stop()
	l.running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *load) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// pauseAfterError is how long a producer waits when it was refused.
const pauseAfterError = 5 * time.Millisecond

// sender is one producer.
type sender struct {
	load    *load
	id      int
	number  uint64 // of the last record
	client  *client.Client
	chance  *rand.Rand
	topic   topic
	slots   chan struct{} // one for each batch or record without an answer
	refused atomic.Bool   // since it was last looked at
}

// topic is where to produce.
type topic struct {
	name       codec.Topic
	partitions int
	settings   map[string]string
}

// forgets says whether retention may take records within a play.
func (t topic) forgets() bool {
	return t.settings["retention.bytes"] != "" || t.settings["retention.ms"] != ""
}

// start runs one producer that has at most inFlight things without an answer.
func (l *load) start(ctx context.Context, t topic, inFlight int, work func(*sender) error) error {
	c, err := l.servers.client(ctx, "chaos-load")
	if err != nil {
		return fmt.Errorf("start producer: %w", err)
	}
	l.started++
	s := &sender{load: l, id: l.started, client: c, topic: t, slots: make(chan struct{}, inFlight),
		chance: rand.New(rand.NewPCG(l.seed, uint64(l.started)))}
	l.running.Go(func() {
		defer c.Close()
		if err := work(s); err != nil {
			l.failed(fmt.Errorf("producer %d: %w", s.id, err))
		}
		for range cap(s.slots) {
			s.slots <- struct{}{}
		}
	})
	return nil
}

// next waits for a slot, and a little after a refusal; false ends the work.
func (s *sender) next() bool {
	if s.refused.Swap(false) {
		select {
		case <-time.After(pauseAfterError):
		case <-s.load.ctx.Done():
			return false
		}
	}
	if s.load.pace > 0 && wait(s.load.ctx, s.load.pace) != nil {
		return false
	}
	select {
	case s.slots <- struct{}{}:
		if s.load.ctx.Err() == nil {
			return true
		}
		<-s.slots
		return false
	case <-s.load.ctx.Done():
		return false
	}
}

func (s *sender) answered(at, count, bytes int, base codec.Offset, err error) {
	if err != nil {
		s.refused.Store(true)
	}
	s.load.rec.answered(at, count, bytes, base, err)
	<-s.slots
}

func (s *sender) anyLog() codec.TopicPartition {
	return codec.TopicPartition{Topic: s.topic.name, Partition: codec.Partition(s.chance.IntN(s.topic.partitions))}
}

// shapes of ready batches: records, and bytes of each.
var shapes = [...]struct{ records, bytes int }{{8, 8 << 10}, {64, 1000}, {8, 8 << 10}, {1, 100}, {5, 700}}

var compressions = [...]codec.Compression{codec.NoCompression, codec.NoCompression, codec.NoCompression, codec.LZ4, codec.Zstd}

// batches sends ready batches, most of them of 64 KiB.
func (s *sender) batches() error {
	for s.next() {
		shape := shapes[s.chance.IntN(len(shapes))]
		b, tokens, hashes, err := s.batch(shape.records, shape.bytes)
		if err != nil {
			return err
		}
		log := s.anyLog()
		at := s.load.rec.send("", log, tokens, hashes)
		err = s.client.ProduceBatch(s.load.ctx, log, b, func(p codec.Produced, err error) {
			s.answered(at, len(tokens), len(b), p.Base, err)
		})
		if err != nil {
			s.answered(at, len(tokens), len(b), 0, refusal(err))
		}
	}
	return nil
}

func (s *sender) batch(records, bytes int) (b codec.Batch, tokens []token, hashes []uint64, err error) {
	var w codec.Builder
	for range records {
		s.number++
		t := tokenOf(s.id, s.number)
		r := newRecord(t, bytes, s.chance)
		w.Append(r.Timestamp, r.Key, r.Value, r.Headers)
		tokens, hashes = append(tokens, t), append(hashes, hashOf(&r))
	}
	b, err = w.Build(compressions[s.chance.IntN(len(compressions))])
	return b, tokens, hashes, err
}

// records sends single records of 100 bytes through the client's Producer, once.
func (s *sender) records() error { return s.singles(true) }

// again is records through an idempotent Producer.
func (s *sender) again() error { return s.singles(false) }

func (s *sender) singles(once bool) error {
	p, err := s.client.Producer(s.load.ctx, s.topic.name, client.ProducerOptions{Linger: time.Millisecond, BatchBytes: 4 << 10, NoRetry: once})
	if err != nil {
		return err
	}
	who := ""
	if !once {
		who = fmt.Sprintf("producer-%d", s.id)
	}
	for s.next() {
		s.number++
		t := tokenOf(s.id, s.number)
		r := newRecord(t, 100, s.chance)
		log := s.anyLog()
		at := s.load.rec.send(who, log, []token{t}, []uint64{hashOf(&r)})
		err := p.ProduceTo(s.load.ctx, log.Partition, r, func(_ codec.Partition, o codec.Offset, err error) {
			s.answered(at, 1, len(r.Value), o, err)
		})
		if err != nil {
			s.answered(at, 1, 0, 0, refusal(err))
		}
	}
	_ = p.Close(context.Background()) // each record was told its own outcome
	return nil
}

// refusal gives an error that says the sending was stopped its code.
func refusal(err error) error {
	if errors.Is(err, context.Canceled) {
		return codec.Errorf(codec.TimedOut, "%v", err)
	}
	return err
}
