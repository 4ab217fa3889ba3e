package actors

import (
	"crypto/rand"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// A command whose time is over while it is being decided has an unknown outcome,
// whatever became of the tries before: they came to nothing, this one may not.
func TestACommandThatIsTriedAgainMayBeDecided(t *testing.T) {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}, Chance: rand.Reader}})
	defer house.system.Shutdown()
	deaf := house.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	meta := newHandle(house, codec.TopicPartition{}, "metadata")
	meta.pid.Store(deaf)
	c := &courier{house: house, meta: meta, self: deaf, errands: map[uint64]*errand{}, asks: map[uint64]*errand{}}
	house.link = nobody{}
	var told error
	e := &errand{reply: func(_ cluster.Result, err error) { told = err }}
	meta.publishState(state{open: true}) // nobody leads
	c.take(e)
	require.Equal(t, codec.Unavailable, codec.CodeOf(e.why))
	meta.publishState(state{open: true, leader: true})
	c.try(e)
	c.overdue(e.number)
	require.Equal(t, codec.Unknown, codec.CodeOf(told), "%v", told)
}

// nobody is a link that loses everything.
type nobody struct{}

func (nobody) Send(codec.NodeID, [][]byte) {}

// sentTo is a link that notes where letters go.
type sentTo struct{ nodes *[]codec.NodeID }

func (l sentTo) Send(to codec.NodeID, _ [][]byte) { *l.nodes = append(*l.nodes, to) }

// A command that was asked of a leader whose process ends, or that leads no more, is
// asked of the next one, and not only when its time is over. To whom has ended nothing
// is sent.
func TestACommandIsAskedOfTheNextLeader(t *testing.T) {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}, Chance: rand.Reader}})
	defer house.system.Shutdown()
	deaf := house.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	meta := newHandle(house, codec.TopicPartition{}, "metadata")
	var sent []codec.NodeID
	house.link = sentTo{&sent}
	c := &courier{house: house, meta: meta, self: deaf, errands: map[uint64]*errand{}, asks: map[uint64]*errand{}}
	var told error
	told = errStopping
	e := &errand{reply: func(_ cluster.Result, err error) { told = err }}
	meta.publishState(state{open: true, lead: "a"})
	c.take(e)
	require.Equal(t, []codec.NodeID{"a"}, sent)
	c.unanswered(unanswered{e.number, e.letter})
	require.Len(t, sent, 1, "it still leads, as far as is known")
	c.lost("a")
	require.Len(t, sent, 1, "it has ended, and no other is known")
	meta.publishState(state{open: true, lead: "b"})
	c.try(e)
	require.Equal(t, []codec.NodeID{"a", "b"}, sent)
	meta.publishState(state{open: true, lead: "c"})
	c.unanswered(unanswered{e.number, e.letter})
	require.Equal(t, []codec.NodeID{"a", "b", "c"}, sent)
	for range errandLooks {
		c.unanswered(unanswered{e.number, e.letter})
	}
	require.Equal(t, []codec.NodeID{"a", "b", "c", "c"}, sent, "the letter was lost")
	c.answered(&codec.AskAnswer{Number: e.letter, Err: codec.Errorf(codec.NotLeader, "no")})
	c.overdue(e.number)
	require.Equal(t, codec.Unknown, codec.CodeOf(told), "one of those before may have been decided: %v", told)
}
