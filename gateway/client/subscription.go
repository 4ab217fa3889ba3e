package client

import (
	"slices"

	"github.com/troupe-mq/troupe/codec"
)

// subscription is what a link pushes to a cursor. Without a link it stands for
// the fetches from a server that does not push.
type subscription struct {
	client  *Client
	link    *link
	cursor  *cursor
	request codec.Subscribe
	got     codec.Subscribed
	id      uint32     // 0 until it is answered; under the link's lock
	dropped bool       // nobody wants its pushes any more; under the link's lock
	begun   bool       // its id is known to the cursor; under the consumer's lock
	ended   chan error // room for one
}

// subscribes says whether the server pushes.
func (l *link) subscribes() bool { return slices.Contains(l.features, codec.FeatureSubscribe) }

// answered implements waiter. Pushes come behind the answer, so it registers
// before the next frame is read.
func (s *subscription) answered(a *answer, err error) {
	if err == nil {
		err = a.Decode(&s.got)
	}
	if err != nil {
		s.end(err)
		return
	}
	l := s.link
	l.mu.Lock()
	s.id = s.got.Subscription
	dropped, lost := s.dropped, l.err
	if !dropped && lost == nil {
		l.subs[s.id] = s
	}
	l.mu.Unlock()
	switch {
	case lost != nil: // whoever ended the link did not find it there
		s.end(codec.Errorf(codec.Unavailable, "connection to %s lost: %v", l.address, lost))
	case dropped:
		s.client.spawn(s.leave)
	default:
		s.cursor.begun(s)
	}
}

func (s *subscription) left() {}

// pushed takes a push to its subscription; those of one that is no more are
// thrown away.
func (l *link) pushed(a *answer) error {
	l.mu.Lock()
	s := l.subs[a.ID]
	if a.Push == codec.PushEnd {
		delete(l.subs, a.ID)
	}
	l.mu.Unlock()
	if s == nil {
		return nil
	}
	switch a.Push {
	case codec.PushData:
		var f codec.Fetched
		if err := a.Decode(&f); err != nil {
			return err
		}
		s.cursor.arrived(s, &f, a)
	case codec.PushEnd:
		var e codec.Ended
		if err := a.Decode(&e); err != nil {
			return err
		}
		s.end(&e.Error)
	}
	return nil // a push of nothing new says that the server lives: the link heard it
}

// end tells the cursor's goroutine that it is over, and why.
func (s *subscription) end(why error) {
	select {
	case s.ended <- why:
	default:
	}
}

// drop gives the subscription up.
func (s *subscription) drop() {
	l := s.link
	l.mu.Lock()
	s.dropped = true
	id := s.id
	delete(l.subs, id)
	gone := l.err != nil
	l.mu.Unlock()
	if id != 0 && !gone {
		s.client.spawn(s.leave)
	}
}

// leave tells the server; whatever it answers.
func (s *subscription) leave() {
	_ = s.link.send(s.client.ctx, &codec.Unsubscribe{Subscription: s.id}, nobody{})
}

// grant gives the server more credit.
func (s *subscription) grant(bytes int64) {
	s.link.tell(&codec.Credit{Subscription: s.id, Bytes: bytes})
}
