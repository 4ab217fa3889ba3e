package gateway

import (
	"github.com/troupe-mq/troupe/codec"
)

// session is the mind of one connection: what may come, when, how much, and in
// which order answers to produces leave. It knows no socket and no clock. It
// is not safe for use by several goroutines at once.
type session struct {
	limits   Limits
	ready    bool // HELLO was answered
	frameMax int  // bytes, for both directions
	inFlight int
	bytes    int // of the requests in flight
	lanes    map[codec.TopicPartition][]*turn
}

// turn is the place of one produce's answer in the order of its partition.
type turn struct {
	lane  codec.TopicPartition
	size  int
	frame codec.Frame
	done  bool
}

func newSession(limits Limits) *session {
	return &session{
		limits: limits, frameMax: min(codec.HelloFrameMax, limits.FrameMax),
		lanes: map[codec.TopicPartition][]*turn{},
	}
}

// checkMagic is the rule of the first four bytes.
func checkMagic(got []byte) error {
	if string(got) != codec.Magic {
		return codec.Errorf(codec.Malformed, "connection opens with %q: want %q", got, codec.Magic)
	}
	return nil
}

// room says whether a frame of size bytes may be read now. One may always
// pass, so that no request is too large to ever come in.
func (s *session) room(size int) bool {
	return s.inFlight < s.limits.InFlight && (s.inFlight == 0 || s.bytes+size <= s.limits.BytesInFlight)
}

// take charges a request; release is its end, when the answer has left.
func (s *session) take(size int) {
	s.inFlight++
	s.bytes += size
}

func (s *session) release(size int) {
	s.inFlight--
	s.bytes -= size
}

// recharge changes what a request in flight costs.
func (s *session) recharge(from, to int) { s.bytes += to - from }

// admit says whether a frame may come now. An error ends the connection.
func (s *session) admit(e codec.Envelope) error {
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

// hello chooses what both sides can do. An error ends the connection.
func (s *session) hello(h codec.Hello, id Identity) (*codec.Welcome, error) {
	if h.ProtocolMin > codec.ProtocolVersion || h.ProtocolMax < codec.ProtocolVersion {
		return nil, codec.Errorf(codec.VersionUnknown, "client speaks protocol %d to %d: this broker speaks %d",
			h.ProtocolMin, h.ProtocolMax, codec.ProtocolVersion)
	}
	s.ready, s.frameMax = true, s.limits.FrameMax
	if h.FrameMax > 0 {
		s.frameMax = max(codec.HelloFrameMax, min(s.frameMax, h.FrameMax))
	}
	return &codec.Welcome{
		Protocol: codec.ProtocolVersion, Server: id.Version, Cluster: id.Cluster, Node: id.Node,
		FrameMax: s.frameMax, InFlightMax: s.limits.InFlight,
	}, nil
}

// open takes the next turn among the produces of tp.
func (s *session) open(tp codec.TopicPartition, size int) *turn {
	t := &turn{lane: tp, size: size}
	s.lanes[tp] = append(s.lanes[tp], t)
	return t
}

// settle gives a turn its answer and returns those that may leave now, in
// order: none while an earlier one of the partition is without.
func (s *session) settle(t *turn, frame codec.Frame) []*turn {
	if t.done {
		panic("gateway: a produce was answered twice")
	}
	t.frame, t.done = frame, true
	lane := s.lanes[t.lane]
	n := 0
	for n < len(lane) && lane[n].done {
		n++
	}
	if n == len(lane) {
		delete(s.lanes, t.lane)
	} else {
		s.lanes[t.lane] = lane[n:]
	}
	return lane[:n]
}
