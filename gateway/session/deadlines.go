package session

import (
	"math"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Awaited is what the reader of a connection waits for.
type Awaited uint8

// What is waited for. Moments are times since the connection opened.
const (
	Magic Awaited = iota
	Hello
	Request
	Body // the rest of a frame whose length is known
)

// Never is no moment: whatever is awaited may take its time.
const Never time.Duration = math.MaxInt64

// Due is the moment by which what is awaited must have come: a frame's body of
// size bytes sooner while others wait for the bytes that it holds, the next
// request never while the client waits for an answer.
func (s *Session) Due(now time.Duration, what Awaited, size int, crowded bool) time.Duration {
	switch {
	case !s.ready:
		return s.limits.Handshake
	case what == Request && s.inFlight > 0:
		return Never
	case what == Request:
		return now + s.limits.Idle
	case crowded:
		return now + min(s.limits.Frame, s.limits.hurry(size))
	}
	return now + s.limits.Frame
}

// WriteDue is the moment by which the client must have taken size bytes.
func (s *Session) WriteDue(now time.Duration, size int, crowded bool) time.Duration {
	if crowded {
		return now + min(s.limits.Write, s.limits.hurry(size))
	}
	return now + s.limits.Write
}

// hurry is the time for size bytes while others wait for them.
func (l *Limits) hurry(size int) time.Duration {
	return l.Hurry + l.Hurry*time.Duration(size)/(1<<20)
}

// Late is what the client is told when a moment has passed.
func (s *Session) Late(what Awaited, size int, crowded bool) error {
	switch what {
	case Magic:
		return codec.Errorf(codec.TimedOut, "no magic within %v", s.limits.Handshake)
	case Hello:
		return codec.Errorf(codec.TimedOut, "no HELLO within %v", s.limits.Handshake)
	case Request:
		return codec.Errorf(codec.TimedOut, "no request for %v", s.limits.Idle)
	}
	if within := s.limits.hurry(size); crowded && within < s.limits.Frame {
		return codec.Errorf(codec.TimedOut, "a frame of %d bytes did not come within %v, while others wait", size, within)
	}
	return codec.Errorf(codec.TimedOut, "a frame of %d bytes did not come within %v", size, s.limits.Frame)
}
