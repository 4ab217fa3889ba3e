package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// hope is one that waits for a slot: who is given one by closing granted, or
// who is told to try again.
type hope struct {
	granted chan struct{}
	again   func()
}

// lost tells a hope that there is no link any more. Who waits for granted
// sees that the link is dead.
func (h hope) lost() {
	if h.again != nil {
		h.again()
	}
}

// takeSlot waits for a slot.
func (l *link) takeSlot(ctx context.Context, op codec.Op) error {
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return l.lostLocked(op, false)
	}
	if l.slots > 0 {
		l.slots--
		l.mu.Unlock()
		return nil
	}
	granted := make(chan struct{})
	l.room = append(l.room, hope{granted: granted})
	l.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-l.dead:
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.lostLocked(op, false)
	case <-ctx.Done():
		l.giveUpHope(granted)
		return fmt.Errorf("wait to send %v: %w", op, ctx.Err())
	}
}

// giveUpHope takes a hope back, and gives back the slot that it may have got.
func (l *link) giveUpHope(granted chan struct{}) {
	l.mu.Lock()
	for i, h := range l.room {
		if h.granted == granted {
			l.room = append(l.room[:i], l.room[i+1:]...)
			l.mu.Unlock()
			return
		}
	}
	l.mu.Unlock()
	l.giveSlot()
}

// errFull is what trySlot says.
var errFull = errors.New("no slot is free")

// trySlot takes a slot if one is free. Otherwise again is called when it may
// be worth trying again, once.
func (l *link) trySlot(op codec.Op, again func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.lostLocked(op, false)
	}
	if l.slots == 0 {
		l.room = append(l.room, hope{again: again})
		return errFull
	}
	l.slots--
	return nil
}

// giveSlot gives a slot back, to whoever hopes for one.
func (l *link) giveSlot() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots++
	for l.slots > 0 && len(l.room) > 0 {
		h := l.room[0]
		l.room = l.room[1:]
		if h.granted != nil {
			l.slots--
			close(h.granted)
			continue
		}
		l.mu.Unlock()
		h.again()
		l.mu.Lock()
	}
}
