package actors

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

const (
	// lookAgain is the longest that another broker is asked to wait at the end of a log.
	// Whoever waits longer asks again, so that nothing stays for long of a reader that
	// has gone.
	lookAgain = 5 * time.Second
	// lookLate is how much later than asked for an answer may come.
	lookLate = 2 * time.Second
	// lookBytesMax is what one answer has of batches, but for one that is larger.
	lookBytesMax = 4 << 20
)

// look is a question to another broker, and the way back of what it sees.
type look struct {
	tp     codec.TopicPartition
	letter codec.Look
	to     codec.NodeID
	reply  func(*codec.Sight, error)
	cancel func()
}

type (
	// letLook says that nobody wants the answer any more.
	letLook  struct{ of *look }
	lookOver struct{ number uint64 }
	// lookedAt is what another broker asks about a partition.
	lookedAt struct {
		from codec.NodeID
		look *codec.Look
	}
)

func (l *look) refuse(err error) {
	if l.reply != nil {
		reply := l.reply
		l.reply = nil
		reply(nil, err)
	}
}

// noSight is what who asked is told when there is no answer.
func noSight(l *look, why string) error {
	if l == nil {
		return nil
	}
	if l.letter.Kind == codec.LookTrim {
		return codec.Errorf(codec.Unknown, "%s was asked, which leads: %s", l.to, why)
	}
	return codec.Errorf(codec.Unavailable, "%s was asked: %s", l.to, why)
}

// look asks whoever leads.
func (f *ferry) look(m *look) {
	if m.reply == nil {
		return
	}
	m.to = f.house.leaderOf(m.letter.Group).node
	switch {
	case f.ended:
		m.refuse(errStopping)
		return
	case m.to == "" || f.dead[m.to] > 0:
		m.refuse(codec.Errorf(codec.Unavailable, "%s has no leader that is known here", m.tp))
		return
	case len(f.looks) >= waysMax:
		m.refuse(codec.Errorf(codec.Overloaded, "%d questions wait for other brokers", len(f.looks)))
		return
	}
	f.last++
	number := f.last
	m.letter.Number, m.letter.Cluster = number, f.house.cluster
	within := min(time.Duration(m.letter.Within)*time.Millisecond, lookAgain)
	m.letter.Within = uint32(within.Milliseconds())
	f.looks[number] = m
	m.cancel = f.house.clock.After(within+lookLate, func() { f.post(lookOver{number}) })
	if m.to == f.house.node {
		f.lookedAt(&lookedAt{m.to, &m.letter})
		return
	}
	f.house.link.Send(m.to, [][]byte{m.letter.Encode()})
}

func (f *ferry) letLook(l *look) {
	if f.looks[l.letter.Number] == l {
		delete(f.looks, l.letter.Number)
		l.cancel()
	}
	l.reply = nil
}

// sight is what another broker has seen.
func (f *ferry) sight(s *codec.Sight) {
	l := f.looks[s.Number]
	if l == nil {
		return
	}
	f.endLook(s.Number, s, f.why(l.letter.Group, l.to, &s.Outcome))
}

func (f *ferry) endLook(number uint64, s *codec.Sight, err error) {
	l := f.looks[number]
	if l == nil {
		return
	}
	delete(f.looks, number)
	l.cancel()
	if err != nil {
		l.refuse(err)
		return
	}
	reply := l.reply
	l.reply = nil
	reply(s, nil)
}

// lookedAt answers what another broker asks. What may read a disk is done beside the
// disk's other work.
func (f *ferry) lookedAt(m *lookedAt) {
	q := m.look
	h := f.house.handles()[q.Group]
	if h == nil || q.Group == codec.MetadataGroup {
		f.show(m, &codec.Sight{}, codec.Errorf(codec.NotLeader, "there is no replica here"))
		return
	}
	switch q.Kind {
	case codec.LookBounds:
		s, err := h.sight()
		if !h.leads() {
			err = codec.Errorf(codec.NotLeader, "%s is not led here", h.tp)
		}
		f.show(m, s, err)
	case codec.LookAwait:
		h.Await(codec.Offset(q.At), min(time.Duration(q.Within)*time.Millisecond, lookAgain), func() {
			s, err := h.sight()
			f.show(m, s, cmp.Or(err, h.Cut()))
		})
	case codec.LookTrim:
		h.Trim(codec.Offset(q.At), func(start codec.Offset, err error) {
			s, _ := h.sight() // the answer is the start
			s.Offset = start
			f.show(m, s, err)
		})
	case codec.LookRead, codec.LookTime:
		f.house.port.Lane(lookLane(m.from)).Do(func() { f.readFor(m, h) })
	}
}

// lookLane is where the disk is read for one other broker.
func lookLane(node codec.NodeID) string { return "looks of " + string(node) }

func (f *ferry) readFor(m *lookedAt, h *Handle) {
	q := m.look
	var batches []byte
	var at codec.Offset
	var found bool
	var err error
	if q.Kind == codec.LookTime {
		at, _, found, err = h.OffsetForTime(codec.Millis(q.At))
	} else {
		batches, err = h.Read(nil, codec.Offset(q.At), int(min(q.Bytes, lookBytesMax)))
	}
	s, unread := h.sight()
	s.Offset, s.Found, s.Batches = at, found, batches
	f.show(m, s, cmp.Or(err, unread))
}

// sight is where the log begins and ends, as far as this replica knows; the error is
// why it does not.
func (h *Handle) sight() (s *codec.Sight, err error) {
	s = &codec.Sight{BytesMax: uint32(h.MessageBytesMax())}
	s.Start, s.HighWatermark, err = h.Bounds()
	return s, err
}

// show sends what was seen.
func (f *ferry) show(m *lookedAt, s *codec.Sight, err error) {
	s.Cluster, s.Number, s.Outcome = f.house.cluster, m.look.Number, f.house.outcome(m.look.Group, err)
	if err != nil {
		s.Batches = nil
	}
	if m.from == f.house.node {
		f.post(s)
		return
	}
	f.house.link.Send(m.from, [][]byte{s.Encode()})
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
