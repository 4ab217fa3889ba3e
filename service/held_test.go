package service

import (
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
