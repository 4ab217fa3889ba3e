package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
)

// supervisor restarts a child whose turn panicked, after a pause that doubles
// with each failure up to a bound. Only what should be impossible panics;
// trouble of the disk is handled by the child itself, which stays alive to
// say what is wrong with it.
type supervisor struct {
	house *house
	fails map[string]failures
}

// failures are those of one child that followed each other closely.
type failures struct {
	count int
	last  codec.Millis
}

const (
	restartAfterMin = 50 * time.Millisecond
	restartAfterMax = 5 * time.Second
	forgiveAfter    = time.Minute
)

// HandleFailure implements actor.SupervisorStrategy. It runs in the parent's
// turn.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	f, now := s.fails[child.Id], s.house.clock.Now()
	if now-f.last > codec.Millis(forgiveAfter.Milliseconds()) {
		f.count = 0
	}
	s.fails[child.Id] = failures{f.count + 1, now}
	pause := min(restartAfterMin<<min(f.count, 16), restartAfterMax)
	s.house.tallies.restarts.Add(1)
	s.house.seenWhy(SeenPanic, fmt.Sprintf("%s: %v", child.Id, reason))
	s.house.log.Error("an actor panicked and will be restarted from disk", "actor", child.Id, "reason", reason, "after", pause)
	s.house.clock.After(s.house.jitter(pause), func() { parent.RestartChildren(child) })
}
