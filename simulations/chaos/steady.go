package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// steady is a producer that sends a record every so often, whatever becomes of
// those before, and notes how long each took to be acknowledged.
type steady struct {
	client   *client.Client
	producer *client.Producer
	every    time.Duration
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	sent  []time.Time
	took  []time.Duration // 0: no answer yet
	err   error           // the first
	acked int
}

// startSteady begins to send to a topic.
func startSteady(ctx context.Context, from servers, topic codec.Topic, every time.Duration) (*steady, error) {
	c, err := from.client(ctx, "chaos-steady")
	if err != nil {
		return nil, fmt.Errorf("start a steady producer: %w", err)
	}
	p, err := c.Producer(ctx, topic, client.ProducerOptions{Linger: -1})
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("start a steady producer: %w", err)
	}
	s := &steady{client: c, producer: p, every: every}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(func() { s.send(ctx) })
	return s, nil
}

func (s *steady) send(ctx context.Context) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		at := len(s.sent)
		s.sent, s.took = append(s.sent, time.Now()), append(s.took, 0)
		s.mu.Unlock()
		err := s.producer.Produce(ctx, codec.Record{Timestamp: codec.NoTimestamp, Value: fmt.Appendf(nil, "%d", at)}, func(_ codec.Partition, _ codec.Offset, err error) { s.answered(at, err) })
		if err != nil && ctx.Err() == nil {
			s.answered(at, err)
		}
	}
}

func (s *steady) answered(at int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[at] = time.Since(s.sent[at])
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("record %d: %w", at, err)
	}
	s.acked++
}

// end stops, waits for all answers, and says whether any was an error.
func (s *steady) end(ctx context.Context) error {
	s.stop()
	s.running.Wait()
	err := s.producer.Close(ctx)
	s.client.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.err, err)
}

// pause is the longest that a record took which was sent in [from, to).
func (s *steady) pause(from, to time.Time) (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.sent {
		if !at.Before(from) && at.Before(to) {
			took := s.took[i]
			if took == 0 {
				took = time.Since(at)
			}
			longest = max(longest, took)
		}
	}
	return longest
}

// settled waits until records that are sent now are answered within d, n in a row.
func (s *steady) settled(ctx context.Context, n int, d time.Duration) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	s.mu.Lock()
	from := len(s.sent)
	s.mu.Unlock()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for answers within %v: %w", d, ctx.Err())
		}
		if s.calm(from, n, d) {
			return nil
		}
	}
}

func (s *steady) calm(from, n int, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := 0
	for _, took := range s.took[from:] {
		if took == 0 || took > d {
			row = 0
			continue
		}
		if row++; row >= n {
			return true
		}
	}
	return false
}
