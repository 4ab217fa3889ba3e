package client

import (
	"errors"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// follow is a cursor's goroutine: it has the partition pushed, from whichever
// server leads it, until the consumer is closed.
func (u *cursor) follow() {
	n := u.consumer
	defer u.abandon()
	for n.ctx.Err() == nil {
		if err := u.once(); err != nil {
			u.heed(err)
		}
	}
}

// abandon gives back what nobody will read.
func (u *cursor) abandon() {
	n := u.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	u.sub = nil
}

// once reads from one server as long as that goes well. No error means to
// begin anew.
func (u *cursor) once() error {
	n := u.consumer
	n.mu.Lock()
	u.sought = false
	failed := u.failed != nil
	n.mu.Unlock()
	if failed {
		u.rest(nil)
		return nil
	}
	l, err := n.client.leader(n.ctx, u.tp)
	if err != nil {
		return err
	}
	if !l.subscribes() {
		return u.pull(l)
	}
	err = u.subscribe(l)
	if errors.Is(err, codec.E(codec.TooManySubscriptions)) {
		return u.pull(l)
	}
	return err
}

// enter makes s what the cursor listens to; false when it was sought
// elsewhere meanwhile.
func (u *cursor) enter(s *subscription) bool {
	n := u.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.sought {
		return false
	}
	held := u.held()
	credit := max(u.share()-held, 0)
	u.sub, u.out = s, held
	if s.link != nil {
		u.out += credit
	}
	s.request = codec.Subscribe{TopicPartition: u.tp, Offset: u.next, Credit: credit}
	return true
}

// leave ends that.
func (u *cursor) leave(s *subscription) {
	n := u.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.sub == s {
		u.sub, u.out = nil, u.held()
	}
}

// subscribe has a server push until it ends that, or until Seek or Close do.
func (u *cursor) subscribe(l *link) error {
	n := u.consumer
	s := &subscription{client: n.client, link: l, cursor: u, ended: make(chan error, 1)}
	if !u.enter(s) {
		return nil
	}
	defer u.leave(s)
	if err := l.send(n.ctx, &s.request, s); err != nil {
		return err
	}
	for {
		select {
		case err := <-s.ended:
			s.drop() // the server may not have ended it
			return err
		case <-u.kick:
			if u.isSought() {
				s.drop()
				return nil
			}
		case <-n.ctx.Done():
			s.drop()
			return nil
		}
	}
}

func (u *cursor) isSought() bool {
	u.consumer.mu.Lock()
	defer u.consumer.mu.Unlock()
	return u.sought
}

// rest waits until somebody kicks or the timer fires.
func (u *cursor) rest(timer <-chan time.Time) {
	select {
	case <-u.kick:
	case <-timer:
	case <-u.consumer.ctx.Done():
	}
}

// heed does about an error what can be done: wait and go on, go on at the
// oldest record, or fail until Seek.
func (u *cursor) heed(err error) {
	n := u.consumer
	if n.ctx.Err() != nil {
		return
	}
	err = n.client.heed(u.tp, err, nil)
	if errors.Is(err, codec.E(codec.OffsetOutOfRange)) {
		u.outOfRange(err)
		return
	}
	if mayHelp(err) {
		u.wait(err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !u.sought {
		u.fail(err)
	}
}

// wait rests a while because of a trouble that may pass.
func (u *cursor) wait(err error) {
	n := u.consumer
	n.mu.Lock()
	u.trouble = err
	pause := time.NewTimer(u.pause.NextBackOff())
	n.mu.Unlock()
	defer pause.Stop()
	u.rest(pause.C)
}

// outOfRange finds out what is wrong with the position.
func (u *cursor) outOfRange(why error) {
	n := u.consumer
	oldest, newest, err := n.client.Offsets(n.ctx, u.tp)
	if err != nil {
		if n.ctx.Err() == nil && !errors.Is(err, codec.E(codec.OffsetOutOfRange)) {
			u.heed(err)
		}
		return
	}
	n.mu.Lock()
	if !u.sought && u.next >= oldest && u.next <= newest {
		n.mu.Unlock()
		u.wait(why) // it has changed since, or two replicas do not know the same
		return
	}
	defer n.mu.Unlock()
	switch {
	case u.sought:
	case u.next > newest:
		u.fail(why)
	case n.options.SkipTrimmed:
		u.next = oldest
	default:
		u.fail(&Trimmed{TopicPartition: u.tp, Position: u.next, Oldest: oldest})
	}
}
