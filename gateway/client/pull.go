package client

import (
	"github.com/troupe-mq/troupe/codec"
)

// Shape of one fetch from a server that does not push.
const (
	pullMax  = 1 << 20 // bytes
	pullWait = codec.Millis(5000)
)

// pull fetches one answer behind the other, ahead of the reader as far as its
// share allows: for servers older than SUBSCRIBE, and when a connection has as
// many subscriptions as it may.
func (u *cursor) pull(l *link) error {
	n := u.consumer
	s := &subscription{cursor: u, ended: make(chan error, 1)}
	if !u.enter(s) {
		return nil
	}
	defer u.leave(s)
	for {
		f, ok := u.nextFetch(s)
		if !ok {
			if u.isSought() || n.ctx.Err() != nil {
				return nil
			}
			u.rest(nil)
			continue
		}
		got, err := u.fetch(l, f)
		if err != nil || got == nil {
			return err
		}
		u.arrived(s, got, &answer{})
		select {
		case err := <-s.ended:
			return err
		default:
		}
	}
}

// fetch waits for one answer; none when Seek or Close made it idle.
func (u *cursor) fetch(l *link, f *codec.Fetch) (*codec.Fetched, error) {
	ctx := u.consumer.ctx
	q := &question{told: make(chan error, 1)}
	if err := l.send(ctx, f, q); err != nil {
		return nil, err
	}
	for {
		select {
		case err := <-q.told:
			got := new(codec.Fetched)
			if err == nil {
				err = q.got.Decode(got)
			}
			return got, err
		case <-u.kick:
			if u.isSought() {
				return nil, nil
			}
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// nextFetch is what to ask for, if there is room for it.
func (u *cursor) nextFetch(s *subscription) (*codec.Fetch, bool) {
	n := u.consumer
	n.mu.Lock()
	defer n.mu.Unlock()
	most := min(u.share()-u.out, pullMax)
	if u.sub != s || u.paused || most < min(u.share()/4, pullMax/4) || most <= 0 {
		return nil, false
	}
	wait := pullWait
	if n.options.TellEnd && !u.toldEnd {
		wait = 0
	}
	return &codec.Fetch{TopicPartition: u.tp, Offset: u.next, MaxBytes: int(most), MaxWait: wait, MinBytes: 1}, true
}
