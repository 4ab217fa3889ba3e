package world

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// A leader whose disk hangs could still send heartbeats, and keep others from
// leading for as long as it does. It gives up, and another takes records.
func TestALeaderWhoseDiskHangsGivesUp(t *testing.T) {
	c := three(t, 6)
	log := c.logs[0]
	n := c.leads(log)
	n.Disk.Inject(func(call Call) Fault {
		if call.Op == "sync" {
			return Hang
		}
		return None
	})
	c.produce(log, 1, func() {})
	require.NoError(t, c.w.Run(func() bool { return c.leads(log) != n }, 30*time.Second))
	c.write(t, log)
	require.NotEqual(t, n, c.leads(log))
	require.NoError(t, c.broken)
}

// A start that hangs before there is a broker is ended as any other, and the next
// one does not hang with it.
func TestAStartThatHangsIsEnded(t *testing.T) {
	c := three(t, 6)
	n := c.nodes[0]
	c.kill(n, Kept)
	n.Disk.Inject(func(call Call) Fault {
		if call.Op == "syncdir" {
			return Hang
		}
		return None
	})
	c.revive(n)
	require.ErrorIs(t, n.failure, errHung)
	require.True(t, n.Life.Dead())
	require.NoError(t, c.settle(time.Minute))
}

// A broker whose data directory cannot be fsynced while it starts tells whoever waits for
// the start, once: whether it is what is there that cannot be opened, or what was decided
// while it was away that cannot be made.
func TestAStartWhoseDirectoryCannotBeFsyncedIsTold(t *testing.T) {
	for k := range 4 {
		t.Run(fmt.Sprint("fsync ", k), func(t *testing.T) { startFails(t, k) })
	}
}

func startFails(t *testing.T, k int) {
	c := three(t, 6)
	n := c.nodes[0]
	other := c.nodes[1].Broker
	c.kill(n, Lost) // so that all of the topic is made by the next start
	other.CreateTopic(codec.CreateTopic{Topic: "more", Partitions: 3, Replicas: 3}, func(codec.TopicDescription, error) {})
	require.NoError(t, c.w.Run(func() bool { return len(other.Metadata().Topics["more"].Partitions) == 3 }, time.Minute))
	left := k
	n.Disk.Inject(func(call Call) Fault {
		if call.Op == "syncdir" && call.Name == "data" {
			left--
		}
		if left < 0 {
			return EIO
		}
		return None
	})
	var told []error
	n.told = func(err error) { told = append(told, err) }
	n.Start()
	require.NoError(t, c.w.Run(func() bool { return n.failure != nil }, time.Minute))
	require.Equal(t, []error{n.failure}, told)
	require.ErrorContains(t, n.failure, "fsync failed")
}
