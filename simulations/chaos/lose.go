package chaos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// LoseEachReport is what happened in LoseEach.
type LoseEachReport struct {
	Records  int
	Kills    int
	Slowest  time.Duration // ready line of a broker that was started again
	Longest  time.Duration // between two acknowledgements, of all producers together
	Took     time.Duration
	PerBroke map[string]int // kills
}

// String is the report in a line.
func (r LoseEachReport) String() string {
	return fmt.Sprintf("%d records in and out in %.1f s; %d kills %v; slowest ready %v; longest without an acknowledgement %v",
		r.Records, r.Took.Seconds(), r.Kills, r.PerBroke, r.Slowest.Round(time.Millisecond), r.Longest.Round(time.Millisecond))
}

// What LoseEach sends: producers with keys of their own, and numbers by key.
const (
	loseProducers  = 4
	loseKeys       = 64 // of each
	losePartitions = 6
	loseTopic      = "bookings"
)

// LoseEach streams keyed and numbered records in and out of a running cluster,
// while every broker is killed and started again in turn, rounds times. It is an
// error when a record is missing, comes twice or out of its key's order, or when
// a client that retries sees any error at all.
func LoseEach(ctx context.Context, c *Cluster, records, rounds int) (r LoseEachReport, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &streaming{records: records, last: map[string]int{}}
	if s.client, err = c.servers().client(ctx, "chaos-lose"); err != nil {
		return r, err
	}
	defer s.client.Close()
	if _, err := s.client.CreateTopic(ctx, codec.CreateTopic{Topic: loseTopic, Partitions: losePartitions, Settings: map[string]string{"segment.bytes": "8MiB"}}); err != nil {
		return r, fmt.Errorf("create %s: %w", loseTopic, err)
	}
	begun := time.Now()
	s.ackedAt.Store(begun.UnixNano())
	var running sync.WaitGroup
	fail := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	for p := range loseProducers {
		running.Go(func() { fail(s.produce(ctx, p)) })
	}
	running.Go(func() { fail(s.consume(ctx)) })
	r.PerBroke = map[string]int{}
	killed := c.killInTurn(ctx, rounds, s, &r)
	if killed != nil {
		cancel(killed)
	}
	running.Wait()
	r.Records, r.Took, r.Longest = int(s.read.Load()), time.Since(begun), time.Duration(s.longest.Load())
	if err := context.Cause(ctx); err != nil {
		return r, err
	}
	return r, s.whole()
}

// killInTurn kills one broker after the other, spread over the whole stream.
func (c *Cluster) killInTurn(ctx context.Context, rounds int, s *streaming, r *LoseEachReport) error {
	kills := rounds * len(c.Brokers)
	for i := range kills {
		if err := s.awaitAcked(ctx, int64((i+1)*s.records/(kills+1))); err != nil {
			return err
		}
		b := c.Brokers[i%len(c.Brokers)]
		if err := b.Kill(); err != nil {
			return err
		}
		if err := b.Start(ctx); err != nil {
			return fmt.Errorf("start %s again: %w", b.Node, err)
		}
		r.Kills++
		r.PerBroke[b.Node]++
		r.Slowest = max(r.Slowest, b.Ready)
	}
	return nil
}

// streaming is what goes in and what came out.
type streaming struct {
	client  *client.Client
	records int

	acked   atomic.Int64
	ackedAt atomic.Int64 // unix time in ns of the last
	longest atomic.Int64 // ns between two
	read    atomic.Int64
	last    map[string]int // number by key, of the consumer alone
}

// produce sends one producer's share, the keys in turn.
func (s *streaming) produce(ctx context.Context, id int) error {
	p, err := s.client.Producer(ctx, loseTopic, client.ProducerOptions{})
	if err != nil {
		return fmt.Errorf("producer %d: %w", id, err)
	}
	var failed atomic.Pointer[error]
	for n := range s.share(id) {
		err := p.Produce(ctx, loseRecord(id, n), func(_ codec.Partition, _ codec.Offset, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
				return
			}
			s.acknowledged()
		})
		if err != nil || failed.Load() != nil {
			break
		}
	}
	err = p.Close(ctx)
	if f := failed.Load(); f != nil {
		err = *f
	}
	if err != nil {
		return fmt.Errorf("producer %d: %w", id, err)
	}
	return nil
}

func (s *streaming) share(id int) int {
	n := s.records / loseProducers
	if id < s.records%loseProducers {
		n++
	}
	return n
}

func (s *streaming) acknowledged() {
	now := time.Now().UnixNano()
	gap := now - s.ackedAt.Swap(now)
	for {
		was := s.longest.Load()
		if gap <= was || s.longest.CompareAndSwap(was, gap) {
			break
		}
	}
	s.acked.Add(1)
}

func (s *streaming) awaitAcked(ctx context.Context, n int64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.acked.Load() < n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records were acknowledged: %w", s.acked.Load(), s.records, context.Cause(ctx))
		}
	}
	return nil
}

// consume reads until all have come, and holds each against its key's order.
func (s *streaming) consume(ctx context.Context) error {
	n, err := s.client.Consumer(ctx, loseTopic, client.ConsumerOptions{})
	if err != nil {
		return fmt.Errorf("consumer: %w", err)
	}
	defer n.Close()
	for s.read.Load() < int64(s.records) {
		batch, err := n.Poll(ctx)
		if err != nil {
			return fmt.Errorf("consumer, after %d records: %w", s.read.Load(), errors.Join(err, context.Cause(ctx)))
		}
		for batch.Next() {
			if err := s.take(batch.Record()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *streaming) take(r *codec.Record) error {
	number, text, ok := strings.Cut(string(r.Value), " ")
	n, err := strconv.Atoi(number)
	key := string(r.Key)
	switch want := s.last[key] + 1; {
	case err != nil || !ok || text != loseText:
		return fmt.Errorf("a record of key %s reads %q", key, r.Value)
	case n != want:
		return fmt.Errorf("key %s: number %d came, and %d was to come", key, n, want)
	}
	s.last[key] = n
	s.read.Add(1)
	return nil
}

// whole says whether the last number of each key is the last that was sent.
func (s *streaming) whole() error {
	for id := range loseProducers {
		n := s.share(id)
		for k := range min(n, loseKeys) {
			want := n / loseKeys
			if k < n%loseKeys {
				want++
			}
			if got := s.last[loseKey(id, k)]; got != want {
				return fmt.Errorf("key %s ends at number %d, and was sent up to %d", loseKey(id, k), got, want)
			}
		}
	}
	return nil
}

const loseText = "a seat by the window, a meal without nuts, and a cat below the seat in front"

func loseKey(id, k int) string { return fmt.Sprintf("p%d-k%d", id, k) }

// loseRecord is the n-th of a producer.
func loseRecord(id, n int) codec.Record {
	return codec.Record{Timestamp: codec.NoTimestamp, Key: []byte(loseKey(id, n%loseKeys)), Value: fmt.Appendf(nil, "%d %s", n/loseKeys+1, loseText)}
}
