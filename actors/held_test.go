package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/replica"
	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// waitingPartition has a partition of two replicas, one batch for each of replies waiting in it.
func waitingPartition(t *testing.T, replies ...func(error)) *Partition {
	house := newHouse(Config{Ports: Ports{Clock: testClock{}, Run: func(job func()) { job() }}})
	t.Cleanup(house.system.Shutdown)
	h := newHandle(house, codec.TopicPartition{}, "t/0")
	p := &Partition{house: house, pub: h, self: actor.NewPID(house.system.Address(), "nobody"), seat: seat{members: []cluster.Replica{{ID: 1}, {ID: 2, Leaving: true}}, change: 7}}
	for _, reply := range replies {
		b := batchOf(t, 1, 10)
		require.NoError(t, house.credit.takeNow(int64(len(b))))
		p.hold(&Produce{batch: b, paid: house.credit, reply: func(_ codec.Produced, err error) { reply(err) }})
	}
	return p
}

// A turn that panics over one of the batches that waited leaves the others to be answered.
func TestAPanicLeavesNobodyWhoWaitedWithoutAnswer(t *testing.T) {
	told := 0
	for name, turn := range map[string]func(*Partition){
		"decided": (*Partition).decided,
		"refused": func(p *Partition) { p.refuseHeld(errStopping) },
	} {
		told = 0
		p := waitingPartition(t, func(error) { panic("as planned") }, func(error) { told++ }, func(error) { told++ })
		require.Panics(t, func() { turn(p) }, name)
		p.refuseHeld(errStopping) // as crashed does
		require.Equal(t, 2, told, name)
		require.Equal(t, p.house.credit.max, p.house.credit.free, name)
	}
}

// A leader that hands over and becomes alone gets no ticks any more, which would end that.
// What waited goes on then, before anything that comes behind it.
func TestWhoBecomesAloneHandsNothingOver(t *testing.T) {
	told := 0
	p := waitingPartition(t, func(error) { told++ })
	p.handing = handing{to: 2, begun: true}
	p.configure(&configure{members: &members{list: []cluster.Replica{{ID: 1}}}})
	require.Equal(t, 1, told)
	require.Zero(t, p.handing)
}

// A replica that closes has lost its leadership, and with it the last that it had to answer:
// it stays closed, and lets nobody in to wait for another leader.
func TestWhoHasClosedHoldsNothing(t *testing.T) {
	p := waitingPartition(t)
	p.disk.house, p.disk.post, p.disk.nextLife, p.disk.lane = p.house, p.post, p.pub.nextLife, p.house.port.Lane("dir")
	closed := make(chan struct{})
	p.disk.closed, p.leaving = true, &closing{done: func() { close(closed) }}
	p.carryOut(replica.Effects{Role: &replica.Role{Term: 3}})
	<-closed
	s := p.pub.state.Load()
	require.Equal(t, codec.Stopping, codec.CodeOf(s.write))
	require.False(t, s.open || s.holds)
}
