package service

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// What waits here counts as what it is, and not with the answer that it asks for, of which
// nothing is here: many readers may begin at once.
func TestWhatWaitsCountsAsItIs(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", codec.Window{Calls: 100, Bytes: 9 << 20})
	p := attach(t, Config{Brokers: []string{s.address}})
	var asked []actor.Future
	for range 200 {
		asked = append(asked, p.ask(0, &codec.Read{Bytes: 4 << 20}))
	}
	for _, f := range asked {
		wait(t, s.replies, "a way back")(&codec.Reply{})
		require.NoError(t, answer[*codec.Batches](t, f).Err)
	}
}

// The bound on bytes says so when it is reached, and is not below one message.
func TestTheBoundOnBytesThatWait(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{s.address}, HeldBytes: 1000})
	large := batchOf(t, string(make([]byte, 2000)))
	for range least.Calls {
		p.ask(0, &codec.Store{Batch: large})
		wait(t, s.calls, "a call")
	}
	waits := p.ask(0, &codec.Store{Batch: large})
	over := answer[*codec.Stored](t, p.ask(0, &codec.Store{Batch: large}))
	require.ErrorIs(t, over.Err, codec.E(codec.Overloaded))
	require.ErrorContains(t, over.Err, "1 messages of 21")
	require.ErrorContains(t, over.Err, "at most 8192 of 1000 bytes may")
	for range 3 {
		wait(t, s.replies, "a way back")(&codec.Reply{})
	}
	require.NoError(t, answer[*codec.Stored](t, waits).Err)
}

// Who watches a partition twice, as an actor does that was started again, is told once.
func TestWhoWatchesTwice(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{s.address}})
	told, watching := make(chan *actor.Terminated, 10), make(chan struct{})
	type flush struct{}
	pid := p.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			for range 3 {
				c.Watch(p.Partition("bookings", 0))
				c.Watch(p.Partition("bookings", 1))
			}
			close(watching)
		case *actor.Terminated:
			told <- m
		case flush:
			c.Respond(m)
		}
	}))
	wait(t, watching, "an actor")
	p.Close()
	wait(t, told, "the end of one")
	wait(t, told, "and of the other")
	answer[flush](t, p.system.Root.RequestFuture(pid, flush{}, within))
	require.Empty(t, told)
}

// Those who watched and have ended make room: who watches as one more is not told of an
// end that is none.
func TestWatchersThatHaveEnded(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{s.address}})
	pid := p.Partition("bookings", 0)
	for i := range watchersMax {
		(&process{attachment: p.Attachment}).SendSystemMessage(pid, &actor.Watch{Watcher: p.system.NewLocalPID(fmt.Sprint("gone", i))})
	}
	told, watching := make(chan *actor.Terminated, 10), make(chan struct{})
	p.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Watch(pid)
			close(watching)
		case *actor.Terminated:
			told <- m
		}
	}))
	wait(t, watching, "an actor")
	p.mu.Lock()
	watchers := len(p.watchers)
	p.mu.Unlock()
	require.Equal(t, 1, watchers)
	p.Close()
	wait(t, told, "the end")
}
