package session

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Limits bound what clients can take. Zero fields get their defaults.
type Limits struct {
	Connections      int           // at a time, 4096
	AddressConns     int           // of them from one remote address, half of Connections
	InFlight         int           // requests without an answer on a connection, 1024
	BytesInFlight    int           // bytes of them, 32 MiB; one request may always pass
	BytesInFlightAll int           // bytes of them on all connections, 512 MiB
	FrameMax         int           // bytes of a frame after HELLO, 8 MiB; before it, 64 KiB
	AnswerBytes      int           // of large answers being made or sent, on all connections, 256 MiB
	Subscriptions    int           // of a connection, 1024
	Handshake        time.Duration // from the connection to HELLO, 10 s
	Idle             time.Duration // without a request and with none unanswered, 5 min
	Frame            time.Duration // for the body of a frame, 30 s
	Write            time.Duration // for the client to take answers, 30 s
	// Hurry is what Frame and Write become while others wait for the bytes that
	// a frame or an answer holds, 1 s, with another for each MiB of it.
	Hurry     time.Duration
	FetchWait time.Duration // the longest long poll, 60 s
	Heartbeat time.Duration // after which a subscription with nothing to push says so, 10 s
}

// WithDefaults is l with every zero field set.
func (l Limits) WithDefaults() Limits {
	l.Connections = or(l.Connections, 4096)
	l.AddressConns = or(l.AddressConns, (l.Connections+1)/2)
	l.InFlight = or(l.InFlight, 1024)
	l.BytesInFlight = or(l.BytesInFlight, 32<<20)
	l.FrameMax = or(l.FrameMax, codec.FrameMax)
	l.BytesInFlightAll = or(l.BytesInFlightAll, 512<<20)
	l.AnswerBytes = or(l.AnswerBytes, 256<<20)
	l.Subscriptions = or(l.Subscriptions, 1024)
	l.Handshake = or(l.Handshake, 10*time.Second)
	l.Idle = or(l.Idle, 5*time.Minute)
	l.Frame = or(l.Frame, 30*time.Second)
	l.Write = or(l.Write, 30*time.Second)
	l.Hurry = or(l.Hurry, time.Second)
	l.FetchWait = or(l.FetchWait, time.Minute)
	l.Heartbeat = or(l.Heartbeat, 10*time.Second)
	return l
}

func or[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
