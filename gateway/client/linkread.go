package client

import (
	"errors"
	"io"

	"github.com/troupe-mq/troupe/codec"
)

// read gives answers to who waits for them.
func (l *link) read() {
	var a answer
	for {
		if err := l.receive(&a); err != nil {
			l.fail(err)
			return
		}
		var err error
		switch a.Kind {
		case codec.KindResponse:
			err = l.take(&a)
		case codec.KindPush:
			err = l.pushed(&a)
		} // else one-ways of tomorrow
		if err != nil {
			l.fail(err)
			return
		}
		if a.buffer != nil {
			a.buffer.free()
		}
	}
}

// take gives one answer to who waits for it.
func (l *link) take(a *answer) error {
	l.mu.Lock()
	p := l.waiting[a.ID]
	delete(l.waiting, a.ID)
	l.mu.Unlock()
	if p == nil {
		return codec.Errorf(codec.Malformed, "answer to request %d, which nobody made", a.ID)
	}
	if !p.pulse {
		l.giveSlot()
	}
	p.who.answered(a, a.Err())
	p.drop()
	return nil
}

// roomMax is how much room a frame gets before its bytes arrive.
const roomMax = 2 << 20

// receive reads one frame. The last words of a server are an error.
func (l *link) receive(a *answer) error {
	size, err := l.frames.ReadHead()
	if err == io.EOF {
		return errors.New("the server closed it")
	}
	if err != nil {
		return err
	}
	a.buffer = takeBuffer(min(size, roomMax))
	if a.buffer.bytes, err = l.frames.ReadBody(a.buffer.bytes, size); err != nil {
		return err
	}
	a.Envelope, err = codec.ParseEnvelope(a.buffer.bytes)
	if err == nil && a.Kind == codec.KindResponse && a.ID == codec.ConnectionID {
		if err = a.Err(); err == nil {
			err = codec.Errorf(codec.Malformed, "answer to request 0, which nobody can make")
		}
	}
	return err
}
