package gateway

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Limits bound what clients can take. Zero fields get their defaults.
type Limits struct {
	Connections   int           // at a time, 4096
	InFlight      int           // requests without an answer on a connection, 1024
	BytesInFlight int           // bytes of them, 32 MiB; one request may always pass
	FrameMax      int           // bytes of a frame after HELLO, 8 MiB
	AnswerBytes   int           // of large answers being made or sent, on all connections, 256 MiB
	Handshake     time.Duration // from the connection to HELLO, 10 s
	Idle          time.Duration // without a request, 5 min
	Frame         time.Duration // for the body of a frame, 30 s
	Write         time.Duration // for the client to take answers, 30 s
	FetchWait     time.Duration // the longest long poll, 60 s
}

func (l Limits) withDefaults() Limits {
	l.Connections = or(l.Connections, 4096)
	l.InFlight = or(l.InFlight, 1024)
	l.BytesInFlight = or(l.BytesInFlight, 32<<20)
	l.FrameMax = or(l.FrameMax, codec.FrameMax)
	l.AnswerBytes = or(l.AnswerBytes, 256<<20)
	l.Handshake = or(l.Handshake, 10*time.Second)
	l.Idle = or(l.Idle, 5*time.Minute)
	l.Frame = or(l.Frame, 30*time.Second)
	l.Write = or(l.Write, 30*time.Second)
	l.FetchWait = or(l.FetchWait, time.Minute)
	return l
}

func or[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
