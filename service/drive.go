package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// Pauses between rounds of dials, of which each tries every broker once.
const (
	pauseLeast = 20 * time.Millisecond
	pauseMost  = time.Second
)

// dial tries each broker once, beginning behind the one that was tried last.
func (a *Attachment) dial(ctx context.Context) (line *link.Line, err error) {
	for range a.config.Brokers {
		address := a.config.Brokers[a.at%len(a.config.Brokers)]
		a.at++
		line, err = a.config.caller(a.life, a.cluster).Attach(ctx, address)
		if err == nil {
			a.config.Log("attached", "broker", string(line.Peer().Node), "address", address)
			return line, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err = fmt.Errorf("attach to %s: %w", address, err)
	}
	return nil, err
}

// run drives one line after another until Close.
func (a *Attachment) run(line *link.Line) {
	var pause time.Duration
	for {
		if line != nil {
			began := time.Now()
			served, err := a.drive(line)
			line.Close()
			if a.ctx.Err() != nil {
				break
			}
			a.config.Log("a line was lost", "broker", string(line.Peer().Node), "error", err)
			a.lose(unavailable(err))
			if served || time.Since(began) > pauseMost {
				pause = 0
			}
		}
		var err error
		if line, err = a.redial(pause); err != nil {
			if a.ctx.Err() != nil {
				break
			}
			a.drop(unavailable(err))
		}
		pause = min(max(2*pause, pauseLeast), pauseMost)
	}
	a.lose(errClosed)
	a.drop(errClosed)
}

// redial waits, half to one and a half times the pause by chance, and dials a round.
func (a *Attachment) redial(pause time.Duration) (*link.Line, error) {
	if pause > 0 {
		rest := time.NewTimer(pause/2 + rand.N(pause))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-a.ctx.Done():
			return nil, a.ctx.Err()
		}
	}
	line, err := a.dial(a.ctx)
	if err == nil {
		a.up(line)
	}
	return line, err
}

// unavailable is why there is no line, as senders are told it.
func unavailable(err error) *codec.Error {
	var coded *codec.Error
	if errors.As(err, &coded) && !coded.Code.Retriable() {
		return codec.Errorf(codec.Unavailable, "no broker: %v", err)
	}
	return codec.Errorf(codec.Unavailable, "the line to the broker is lost: %v", err)
}

// drive sends and receives on a line until it ends; served says that an answer came by
// it, err why it ended. When it returns nothing receives any more.
func (a *Attachment) drive(line *link.Line) (served bool, err error) {
	said := make(chan error, 1)
	go func() {
		err := a.receive(line, &served)
		line.Close()
		said <- err
	}()
	closing := context.AfterFunc(a.ctx, line.Close) // a broker may take nothing
	defer closing()
	every := time.NewTicker(link.HereEvery)
	defer every.Stop()
	for {
		if err := line.Send(a.take()); err != nil {
			// The broker may have said why before it closed the line.
			late := time.AfterFunc(lastWordWithin, line.Close)
			defer late.Stop()
			err := <-said
			return served, err
		}
		select {
		case <-a.wake:
		case <-every.C:
		case err := <-said:
			return served, err
		}
	}
}

// lastWordWithin is how long a line that takes nothing any more is listened to.
const lastWordWithin = time.Second

func (a *Attachment) receive(line *link.Line, served *bool) error {
	for {
		r, err := line.Receive()
		switch {
		case err == link.ErrGoodbye:
			a.leave()
		case err != nil:
			return err
		case !a.arrive(r):
			return codec.Errorf(codec.Malformed, "a reply to call %d, which is not under way", r.Number)
		default:
			*served = true
		}
		if a.left() {
			return errLeft
		}
	}
}

// errLeft ends a line that the broker wanted to end, when nothing is in doubt.
var errLeft = codec.Errorf(codec.Stopping, "the broker is shutting down")
