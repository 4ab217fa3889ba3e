package chaos

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// StopWithin is what the contract gives a broker to stop cleanly.
const StopWithin = 10 * time.Second

// StopUnderLoad ends the broker with SIGTERM while producers and a poller are
// at work, and starts it again, o.Rounds times. Each time it must exit with
// code 0 within StopWithin and leave logs that verify without a torn end.
func StopUnderLoad(ctx context.Context, o Options) (r Report, err error) {
	s, err := newStage(ctx, o, topics)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.produce(ctx); err != nil {
		return r, err
	}
	for round := range o.Rounds {
		if err := s.stopOnce(ctx); err != nil {
			return s.report, fmt.Errorf("round %d: %w", round, err)
		}
	}
	return s.finish(ctx, codec.Unavailable, codec.Unknown, codec.Stopping)
}

func (s *stage) stopOnce(ctx context.Context) error {
	if err := s.await(ctx, s.rec.afterAcked(1+s.chance.IntN(ackedMax)), "answers before a stop"); err != nil {
		return err
	}
	asked := time.Now()
	if err := s.broker.Stop(StopWithin); err != nil {
		return err
	}
	s.report.SlowestStop = max(s.report.SlowestStop, time.Since(asked))
	if err := s.verify(ctx); err != nil {
		return err
	}
	if s.report.Torn > 0 {
		return fmt.Errorf("%d logs have a torn end after a clean stop", s.report.Torn)
	}
	return s.start(ctx)
}

// Pause stops the process with SIGSTOP for a while under load, as a laptop's
// lid or a busy host does, o.Rounds times. No client may notice more than the
// time: every outcome is known.
func Pause(ctx context.Context, o Options, pause time.Duration) (r Report, err error) {
	s, err := newStage(ctx, o, topics)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.produce(ctx); err != nil {
		return r, err
	}
	for range o.Rounds {
		if err := s.await(ctx, s.rec.afterAcked(1+s.chance.IntN(ackedMax)), "answers before a pause"); err != nil {
			return s.report, err
		}
		if err := s.broker.Signal(syscall.SIGSTOP); err != nil {
			return s.report, err
		}
		time.Sleep(pause)
		if err := s.broker.Signal(syscall.SIGCONT); err != nil {
			return s.report, err
		}
	}
	if err := s.await(ctx, s.rec.afterAcked(ackedMax), "answers after a pause"); err != nil {
		return s.report, err
	}
	return s.finish(ctx)
}
