package session

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// Session is the mind of one connection.
type Session struct {
	limits   Limits
	ready    bool // HELLO was answered
	frameMax int  // bytes, for both directions
	inFlight int
	bytes    int // of the requests in flight
	lanes    map[codec.TopicPartition]*lane
	spare    []*lane // without turns, to be used again

	subs     map[uint32]*Subscription
	lastSub  uint32
	pushable []*Subscription // each once, the next first
}

// New is the session of a connection that has just come. Limits have their
// defaults already.
func New(limits Limits) *Session {
	return &Session{limits: limits, frameMax: min(codec.HelloFrameMax, limits.FrameMax)}
}

// features are what this side has of HELLO's.
var features = []string{codec.FeatureSubscribe, codec.FeatureRedirect}

// CheckMagic is the rule of the first four bytes. The error ends the
// connection.
func CheckMagic(got []byte) error {
	if string(got) != codec.Magic {
		return codec.Errorf(codec.Malformed, "connection opens with %q: want %q", got, codec.Magic)
	}
	return nil
}

// Ready says whether HELLO was answered.
func (s *Session) Ready() bool { return s.ready }

// FrameMax is the largest frame, bytes, that may come or leave now.
func (s *Session) FrameMax() int { return s.frameMax }

// Admit says whether a frame may come now. An error ends the connection.
func (s *Session) Admit(e *codec.Envelope) error {
	switch {
	case e.Kind == codec.KindOneWay && s.ready:
		return nil
	case e.Kind != codec.KindRequest:
		return codec.Errorf(codec.Malformed, "a client sends requests (kind 0): this frame is of kind %d", e.Kind)
	case e.ID == codec.ConnectionID:
		return codec.Errorf(codec.Malformed, "request has id 0: ids begin at 1")
	case !s.ready && e.Op != codec.OpHello:
		return codec.Errorf(codec.HelloFirst, "%v before HELLO", e.Op)
	case s.ready && e.Op == codec.OpHello:
		return codec.Errorf(codec.Malformed, "a second HELLO")
	}
	return nil
}

// Hello chooses what both sides can do; who answers is left to the caller. An
// error ends the connection.
func (s *Session) Hello(h *codec.Hello) (*codec.Welcome, error) {
	if h.ProtocolMin > codec.ProtocolVersion || h.ProtocolMax < codec.ProtocolVersion {
		return nil, codec.Errorf(codec.VersionUnknown, "client speaks protocol %d to %d: this broker speaks %d",
			h.ProtocolMin, h.ProtocolMax, codec.ProtocolVersion)
	}
	s.ready, s.frameMax = true, s.limits.FrameMax
	if h.FrameMax > 0 {
		s.frameMax = max(codec.HelloFrameMax, min(s.frameMax, h.FrameMax))
	}
	w := &codec.Welcome{Protocol: codec.ProtocolVersion, FrameMax: s.frameMax, InFlightMax: s.limits.InFlight}
	for _, f := range features {
		if slices.Contains(h.Features, f) {
			w.Features = append(w.Features, f)
		}
	}
	return w, nil
}
