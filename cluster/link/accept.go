package link

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// acceptPause is how long the listener rests when there are no descriptors.
const acceptPause = 50 * time.Millisecond

// accept takes connections until the Link is closed.
func (l *Link) accept() {
	for {
		raw, err := l.config.Listener.Accept()
		switch {
		case err == nil:
			s, ok := l.entrance.enter(raw)
			if !ok {
				_ = raw.Close()
				return
			}
			l.running.Go(func() { l.welcome(s) })
		case l.isClosed():
			return
		case errors.Is(err, net.ErrClosed):
			l.config.Log("the link's listener was closed: nothing comes from other brokers any more")
			return
		default:
			l.config.Log("accept failed", "address", l.config.Listener.Addr().String(), "error", err)
			select {
			case <-time.After(acceptPause):
			case <-l.ctx.Done():
				return
			}
		}
	}
}

// welcome is the life of a connection that another dialled.
func (l *Link) welcome(s *stranger) {
	c, purpose := l.meetStranger(s)
	if c == nil {
		l.entrance.leave(s)
		_ = s.conn.Close()
		return
	}
	err := l.serve(c, purpose)
	if err == errSilent {
		c.reset(err)
	}
	c.end(err)
	switch purpose {
	case codec.PurposeQuestions:
		l.leaveQuestions(c)
	case codec.PurposeService:
		l.leaveService(c)
	default:
		l.leave(c)
	}
	var coded *codec.Error
	if errors.As(err, &coded) && coded.Code != codec.Stopping {
		l.notes.refuse(fmt.Sprintf("%s (%s)", s.address, c.peer.Node), coded)
	}
}

// serve does what the connection is for, until it ends.
func (l *Link) serve(c *conn, purpose codec.Purpose) error {
	switch purpose {
	case codec.PurposeQuestions:
		return l.answer(c)
	case codec.PurposeService:
		return l.serveService(c)
	}
	return l.take(c)
}

// meetStranger finds out who has dialled, and answers; nil when it is nobody
// to go on with.
func (l *Link) meetStranger(s *stranger) (*conn, codec.Purpose) {
	_ = s.conn.SetDeadline(time.Now().Add(greetWithin))
	c := &conn{net: s.conn, raw: s.conn, done: make(chan struct{})}
	said, err := l.hearGreeting(c)
	self := l.self()
	if err == nil {
		if no := refusal(self, l.life, said); no != nil {
			err = no
		}
	}
	if err == nil {
		c.peer, c.lane = peerOf(said.Greeting), laneOf(said.Purpose)
		c.heard.Store(int64(l.now()))
		if no := l.enterAs(said.Purpose, c); no != nil {
			err = no
		}
	}
	if err != nil {
		l.turnAway(c, said.who(s.address), err)
		return nil, ""
	}
	l.entrance.leave(s) // before it is answered: it makes room for nobody any more
	answer := self.greeting(l.life, said.Purpose, said.Node)
	if c.desk != nil {
		answer.Window = c.desk.window
	}
	_, err = c.net.Write(codec.EncodeAccepted(answer).Bytes())
	_ = c.net.SetDeadline(time.Time{})
	if err != nil {
		c.end(err) // and whoever serves it finds that
	}
	return c, said.Purpose
}

// enterAs takes a connection for what it is to be for, or says why not.
func (l *Link) enterAs(purpose codec.Purpose, c *conn) *codec.Error {
	switch purpose {
	case codec.PurposeQuestions:
		return l.enterQuestions(c)
	case codec.PurposeService:
		return l.enterService(c)
	}
	return l.enter(c)
}

func laneOf(p codec.Purpose) codec.Lane {
	if p == codec.PurposeBulk {
		return codec.LaneBulk
	}
	return codec.LaneControl
}

// hearGreeting speaks TLS, if this broker does, and reads the greeting.
func (l *Link) hearGreeting(c *conn) (claim, error) {
	said := claim{secure: l.config.TLS != nil}
	if said.secure {
		t := tls.Server(c.raw, l.config.TLS.Server(protocolName))
		if err := t.Handshake(); err != nil {
			var record tls.RecordHeaderError
			if errors.As(err, &record) { // in plain text, for it does not speak TLS
				return said, codec.Errorf(codec.AuthRequired, "this link speaks TLS only: make a certificate of this cluster's authority with troupe certs, and start with it what dials here")
			}
			var bad *tls.CertificateVerificationError
			if errors.As(err, &bad) { // TLS has told it so
				l.notes.refuse(hostOf(c.raw.RemoteAddr().String()), codec.Errorf(codec.AuthFailed, "%v", bad.Err))
			}
			return said, err
		}
		c.net = t
		who, err := trust.Shown(t.ConnectionState())
		switch {
		case err == nil:
			said.shown = &who
		case !errors.Is(err, trust.ErrNoCertificate):
			said.bad = err
		}
	}
	var magic [len(codec.LinkMagic)]byte
	if _, err := io.ReadFull(c.net, magic[:]); err != nil {
		return said, err
	}
	if string(magic[:]) == codec.Magic {
		return said, errClient
	}
	if string(magic[:]) != codec.LinkMagic {
		return said, codec.Errorf(codec.Malformed, "the connection begins with %q: want %q; brokers talk to each other here, without TLS if this is TLS", magic, codec.LinkMagic)
	}
	frame, err := codec.NewFrameReader(c.net, codec.GreetingFrameMax).Read(nil)
	if err != nil {
		return said, err
	}
	said.Greeting, err = codec.ParseGreeting(frame)
	return said, err
}

// errClient is that a client has come to the brokers' door.
var errClient = codec.Errorf(codec.Malformed, "this is where brokers talk to each other: clients go to another port, 9650 by default")

// turnAway says why, if there is a reason to tell, and reads a little of what
// still comes: a close with bytes unread would take the reason back.
func (l *Link) turnAway(c *conn, who string, err error) {
	var coded *codec.Error
	if !errors.As(err, &coded) {
		l.notes.strangers.Add(1)
		return
	}
	l.notes.refuse(who, coded)
	frame := codec.EncodeRefused(coded)
	if coded == errClient {
		frame = codec.EncodeError(nil, codec.ConnectionID, coded) // in its own language
	}
	if _, err := c.net.Write(frame.Bytes()); err != nil {
		return
	}
	c.drain(codec.GreetingFrameMax)
}
