package actors

import (
	"crypto/rand"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// dueClock keeps what is to be done later.
type dueClock struct {
	testClock
	due []func()
}

func (c *dueClock) After(_ time.Duration, f func()) func() {
	c.due = append(c.due, f)
	return func() {}
}

// A replica that was made in vain, and could not be removed for there was no room, is
// removed when there is: until then no other of its group is made here.
func TestAReplicaMadeInVainIsRemovedWhenThereIsRoom(t *testing.T) {
	clock, dir := &dueClock{}, t.TempDir()
	house := newHouse(Config{Dir: dir, Ports: Ports{Clock: clock, Chance: rand.Reader, FS: wal.OS{}, Run: func(job func()) { job() }}})
	defer house.system.Shutdown()
	told := make(chan *unmade, 1)
	self := house.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*unmade); ok {
			told <- m
		}
	}))
	its := replicaDir(dir, 2, 3)
	require.NoError(t, os.MkdirAll(its, 0o700))
	k := &keeper{house: house, self: self, kept: map[codec.GroupID]*kept{2: {seat: seat{group: 2, id: 3}, phase: leavingForGood}}, order: []codec.GroupID{2}}
	k.unmade(&unmade{group: 2, replica: 3, err: syscall.EIO})
	require.Empty(t, clock.due)
	k.unmade(&unmade{group: 2, replica: 3, err: syscall.ENOSPC})
	require.Len(t, clock.due, 1)
	clock.due[0]()
	require.Equal(t, &unmade{group: 2, replica: 3}, <-told)
	require.NoDirExists(t, its)
}
