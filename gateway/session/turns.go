package session

import "github.com/troupe-mq/troupe/codec"

// Turn is the place of one produce's answer in the order of its partition. It
// may be used again once Settle has returned it.
type Turn struct {
	Owner any // whoever the turn is of; not looked at here
	lane  *lane
	next  *Turn // behind this one: in its lane, or in what Settle returned
	done  bool
}

// Next is the turn that may leave behind t, of those that Settle returned
// together; nil at the end.
func (t *Turn) Next() *Turn { return t.next }

// lane is the turns of one partition that have not left, the first first.
type lane struct {
	of          codec.TopicPartition
	first, last *Turn
}

// Open takes the next turn among the produces of tp.
func (s *Session) Open(t *Turn, tp codec.TopicPartition) {
	l := s.lanes[tp]
	if l == nil {
		l = s.newLane(tp)
	}
	t.lane, t.next, t.done = l, nil, false
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
}

func (s *Session) newLane(tp codec.TopicPartition) *lane {
	var l *lane
	if n := len(s.spare); n > 0 {
		l, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		l = new(lane)
	}
	if s.lanes == nil {
		s.lanes = map[codec.TopicPartition]*lane{}
	}
	l.of = tp
	s.lanes[tp] = l
	return l
}

// Settle says that a turn has its answer and returns the first of those that
// may leave now, in order: nil while an earlier one of the partition is
// without.
func (s *Session) Settle(t *Turn) *Turn {
	l := t.lane
	if t.done || l == nil {
		panic("session: a produce was answered twice")
	}
	t.done = true
	if l.first != t {
		return nil
	}
	last := t
	for last.next != nil && last.next.done {
		last = last.next
	}
	for left := t; ; left = left.next {
		left.lane = nil
		if left == last {
			break
		}
	}
	l.first, last.next = last.next, nil
	if l.first == nil {
		l.last = nil
		delete(s.lanes, l.of)
		s.spare = append(s.spare, l)
	}
	return t
}
