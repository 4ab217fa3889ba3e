package session

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// PushMax is how many bytes one push of a subscription carries at most, unless
// its first batch alone is larger: answers of the connection go between.
const PushMax = 1 << 20

// Subscription is one partition that is pushed to a client. It is pushed only
// while it has credit; one batch passes whenever there is any, so credit may
// go below zero by that batch.
type Subscription struct {
	ID    uint32
	Log   codec.TopicPartition
	Mode  codec.FetchMode
	Next  codec.Offset // of the record to be pushed next
	Owner any          // whoever carries it out; not looked at here

	credit int64
	told   time.Duration // when the client last heard of it
	state  subscriptionState
}

type subscriptionState uint8

const (
	isNew      subscriptionState = iota // its answer is not made
	isTold                              // its answer leaves
	isPushable                          // in the line of those that may push
	isPushing                           // out of the line, its turn is on
	isWaiting                           // at the end of the log
	isStarved                           // without credit
	isOver
)

// Credit is what the client granted and has not been sent yet, bytes; below
// zero after a batch that was larger.
func (p *Subscription) Credit() int64 { return p.credit }

// Over says whether the subscription has ended.
func (p *Subscription) Over() bool { return p.state == isOver }

// Bytes is how much may be read for the push whose turn is on.
func (p *Subscription) Bytes() int { return int(min(p.credit, PushMax)) }

// Subscribe opens a subscription, which is answered by Told and pushes nothing
// before Begin. The error
// is a *codec.Error.
func (s *Session) Subscribe(q *codec.Subscribe) (*Subscription, error) {
	if len(s.subs) >= s.limits.Subscriptions {
		return nil, codec.Errorf(codec.TooManySubscriptions, "%d subscriptions: at most %d are allowed on a connection", len(s.subs), s.limits.Subscriptions)
	}
	if s.lastSub == 1<<32-1 {
		return nil, codec.Errorf(codec.TooManySubscriptions, "this connection has used up all numbers of subscriptions: open another")
	}
	if s.subs == nil {
		s.subs = map[uint32]*Subscription{}
	}
	s.lastSub++
	p := &Subscription{ID: s.lastSub, Log: q.TopicPartition, Mode: q.Mode, Next: q.Offset, credit: q.Credit}
	s.subs[p.ID] = p
	return p, nil
}

// Told says that the client is about to be told of a subscription, so that it
// will be told of its end too; false when it has ended before that.
func (s *Session) Told(p *Subscription) bool {
	if p.state != isNew {
		return false
	}
	p.state = isTold
	return true
}

// Begin lets a subscription push: its answer has left. now is, as always here,
// the time since the connection opened.
func (s *Session) Begin(p *Subscription, now time.Duration) {
	if p.state == isTold {
		p.told = now
		s.goOn(p)
	}
}

// Grant adds credit, up to codec.CreditMax, and says whether the subscription
// may push again because of it. One that is not there is ignored.
func (s *Session) Grant(c *codec.Credit) bool {
	p := s.subs[c.Subscription]
	if p == nil {
		return false
	}
	p.credit = min(p.credit+c.Bytes, codec.CreditMax)
	if p.state != isStarved || p.credit <= 0 {
		return false
	}
	s.goOn(p)
	return true
}

// NextPush is the subscription whose turn it is: each that may push has one
// before any has its second. nil when none may. What came of the turn is told
// by Pushed, Wait or End.
func (s *Session) NextPush() *Subscription {
	if len(s.pushable) == 0 {
		return nil
	}
	p := s.pushable[0]
	s.pushable = slices.Delete(s.pushable, 0, 1)
	p.state = isPushing
	return p
}

// MayPush says whether NextPush has one.
func (s *Session) MayPush() bool { return len(s.pushable) > 0 }

// Pushed is the end of a turn in which bytes were pushed, up to next.
func (s *Session) Pushed(p *Subscription, bytes int, next codec.Offset, now time.Duration) {
	p.credit -= int64(bytes)
	p.Next, p.told = next, now
	if p.state == isPushing {
		s.goOn(p)
	}
}

// Wait is the end of a turn that found nothing: the subscription waits for
// Wake, for as long as wait. idle says that the client is to be told so first.
// ok is false when the subscription has ended meanwhile.
func (s *Session) Wait(p *Subscription, now time.Duration) (wait time.Duration, idle, ok bool) {
	if p.state != isPushing {
		return 0, false, false
	}
	p.state = isWaiting
	if idle = now-p.told >= s.limits.Heartbeat; idle {
		p.told = now
	}
	return p.told + s.limits.Heartbeat - now, idle, true
}

// Wake says that there may be something new, and whether it was waited for.
func (s *Session) Wake(p *Subscription) bool {
	if p.state != isWaiting {
		return false
	}
	s.goOn(p)
	return true
}

// goOn puts p behind those that may push, if it has credit.
func (s *Session) goOn(p *Subscription) {
	if p.credit <= 0 {
		p.state = isStarved
		return
	}
	p.state = isPushable
	s.pushable = append(s.pushable, p)
}

// End ends a subscription; false when it has ended before.
func (s *Session) End(p *Subscription) bool {
	if p.state == isOver {
		return false
	}
	if i := slices.Index(s.pushable, p); i >= 0 {
		s.pushable = slices.Delete(s.pushable, i, i+1)
	}
	p.state = isOver
	delete(s.subs, p.ID)
	return true
}

// Unsubscribe ends the subscription that the client names: nil when it ended
// before, an error when there never was one.
func (s *Session) Unsubscribe(q *codec.Unsubscribe) (*Subscription, error) {
	if q.Subscription > s.lastSub {
		return nil, codec.Errorf(codec.InvalidArgument, "there never was a subscription %d on this connection: the last is %d", q.Subscription, s.lastSub)
	}
	p := s.subs[q.Subscription]
	if p != nil {
		s.End(p)
	}
	return p, nil
}

// EndAll ends every subscription and returns those that the client was told
// of, in the order of their numbers.
func (s *Session) EndAll() []*Subscription {
	all := slices.SortedFunc(maps.Values(s.subs), func(a, b *Subscription) int { return cmp.Compare(a.ID, b.ID) })
	told := all[:0]
	for _, p := range all {
		if p.state != isNew {
			told = append(told, p)
		}
		s.End(p)
	}
	return told
}

// Subscriptions is how many there are, and the credit they hold, bytes.
func (s *Session) Subscriptions() (n int, credit int64) {
	for _, p := range s.subs {
		credit += max(0, p.credit)
	}
	return len(s.subs), credit
}
