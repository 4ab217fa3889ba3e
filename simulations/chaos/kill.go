package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// What KillUnderLoad chooses from.
const (
	ackedMax   = 6000                  // records acknowledged before a kill
	delayMax   = 3 * time.Millisecond  // and then
	openingMax = 40 * time.Millisecond // before a broker that opens is killed
	openingOf  = 4                     // one start in so many is cut
	verifyOf   = 10                    // one kill in so many is followed by `log verify`
)

// KillUnderLoad kills the broker with SIGKILL at a random moment while several
// producers and a poller are at work, and starts it again, o.Rounds times. Now
// and then the kill also meets the broker while it opens its logs, and the
// directory that a kill left is verified offline.
func KillUnderLoad(ctx context.Context, o Options) (r Report, err error) {
	s, err := newStage(ctx, o, topics)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.produce(ctx); err != nil {
		return r, err
	}
	for round := range o.Rounds {
		if err := s.killOnce(ctx, o, round); err != nil {
			return s.report, fmt.Errorf("round %d: %w", round, err)
		}
	}
	if err := s.await(ctx, s.rec.afterAcked(100), "answers after the last kill"); err != nil {
		return s.report, err
	}
	return s.finish(ctx, codec.Unavailable, codec.Unknown)
}

func (s *stage) killOnce(ctx context.Context, o Options, round int) error {
	acked := s.chance.IntN(ackedMax)
	delay := time.Duration(s.chance.Int64N(int64(delayMax)))
	if err := s.await(ctx, s.rec.afterAcked(acked), "answers before a kill"); err != nil {
		return err
	}
	time.Sleep(delay)
	if err := s.broker.Kill(); err != nil {
		return err
	}
	if o.afterKill != nil {
		if err := o.afterKill(round, s.broker.Dir); err != nil {
			return err
		}
	}
	if round%verifyOf == verifyOf-1 {
		if err := s.verify(ctx); err != nil {
			return err
		}
	}
	if opening := time.Duration(s.chance.Int64N(int64(openingMax))); s.chance.IntN(openingOf) == 0 {
		if err := s.cutOpening(opening); err != nil {
			return err
		}
	}
	return s.start(ctx)
}

// cutOpening kills a broker that is opening its logs.
func (s *stage) cutOpening(after time.Duration) error {
	if err := s.broker.Begin(); err != nil {
		return err
	}
	s.report.Lives++
	s.report.Cut++
	time.Sleep(after)
	return s.broker.Kill()
}
