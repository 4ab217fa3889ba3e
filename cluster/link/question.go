package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// Bounds of questions.
const (
	// QuestionBytes is the largest question, and the largest answer.
	QuestionBytes  = 1 << 20
	questionsMax   = 64               // connections at a time
	questionWithin = 10 * time.Second // until it is answered, or the next is asked
)

// Asker asks questions of brokers, before there is a Link or beside it.
type Asker struct {
	Self Self
	// Life tells a broker that asks itself; 0 for an Asker without a Link.
	Life uint64
	Dial func(ctx context.Context, address string) (net.Conn, error) // nil: TCP
	TLS  *trust.Credentials                                          // nil: none
}

// Asker is one that asks as this Link's broker, as it is now.
func (l *Link) Asker() Asker {
	return Asker{Self: l.self(), Life: l.life, Dial: l.config.Dial, TLS: l.config.TLS}
}

// Question asks whoever is at address, which may be this broker itself, and
// returns who that is and what it answers. A refusal is a *codec.Error;
// syscall.ECONNREFUSED is that nobody listens. Without a deadline in ctx it
// takes ten seconds at most.
func (a Asker) Question(ctx context.Context, address string, question []byte) (Peer, []byte, error) {
	if len(question) == 0 || len(question) > QuestionBytes {
		return Peer{}, nil, fmt.Errorf("question of %d bytes: want 1 to %d", len(question), QuestionBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, questionWithin)
	defer cancel()
	d := dialler{dial: a.Dial, tls: a.TLS}
	if d.dial == nil {
		d.dial = dialTCP
	}
	c, err := d.greet(ctx, address, a.Self.greeting(a.Life, codec.PurposeQuestions, ""))
	if err != nil {
		return Peer{}, nil, fmt.Errorf("ask %s: %w", address, err)
	}
	defer c.end(errAnswered)
	stop := context.AfterFunc(ctx, func() { c.end(ctx.Err()) })
	defer stop()
	answer, err := ask(c, question)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return c.peer, nil, fmt.Errorf("ask %s: %w", address, explain(err))
	}
	return c.peer, answer, nil
}

var errAnswered = errors.New("it was answered")

func ask(c *conn, question []byte) ([]byte, error) {
	if err := writeFrame(c.net, question); err != nil {
		return nil, err
	}
	return codec.NewFrameReader(c.net, QuestionBytes).Read(nil)
}

func writeFrame(to net.Conn, p []byte) error {
	frame := append(binary.BigEndian.AppendUint32(make([]byte, 0, codec.FrameHeadBytes+len(p)), uint32(len(p))), p...)
	_, err := to.Write(frame)
	return err
}

// answer answers questions until no more come.
func (l *Link) answer(c *conn) error {
	from := codec.NewFrameReader(c.net, QuestionBytes)
	for {
		_ = c.net.SetDeadline(time.Now().Add(questionWithin))
		question, err := from.Read(nil)
		if err != nil {
			return err
		}
		answer := l.config.Answer(c.peer, question)
		if len(answer) == 0 || len(answer) > QuestionBytes {
			return codec.Errorf(codec.Internal, "answer of %d bytes: want 1 to %d", len(answer), QuestionBytes)
		}
		_ = c.net.SetDeadline(time.Now().Add(questionWithin))
		if err := writeFrame(c.net, answer); err != nil {
			return err
		}
	}
}

// enterQuestions takes a connection for questions. It belongs to no node's
// life: who asks may be no member yet. But who says that it is one has to be the
// process that its node is here, or it is refused as in enter: what it says of itself
// would be believed, and others would be sent to it.
func (l *Link) enterQuestions(c *conn) *codec.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed
	case l.config.Answer == nil:
		return codec.Errorf(codec.OpUnknown, "node %q answers no questions", l.config.Self.Node)
	case l.questions >= questionsMax:
		return codec.Errorf(codec.Overloaded, "%d ask already: at most %d may", l.questions, questionsMax)
	}
	if n := l.nodes[c.peer.Node]; n != nil && c.peer.Cluster != (codec.UUID{}) {
		if err := n.takes(c.peer, l.now()); err != nil {
			return err
		}
	}
	c.asks = true
	l.questions++
	l.conns[c] = struct{}{}
	return nil
}

func (l *Link) leaveQuestions(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.questions--
	delete(l.conns, c)
}
