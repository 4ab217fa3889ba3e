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
