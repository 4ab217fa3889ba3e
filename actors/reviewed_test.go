package actors

import (
	"context"
	"math"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// What a reader of the code found, and no seed had.

// poison makes the turn of a partition panic.
func poison(h *Handle) {
	h.tell(&stepDone{life: int(h.lives.Load()), err: &wal.Panicked{Why: "a broken invariant"}}, func(error) {})
}

func TestSettingsThatComeWhileALogOpens(t *testing.T) {
	s := newStage(t, settings{noSync: true})
	// It stands in the mailbox before the log is open: the topic says fsync.
	s.house.send(s.handle.PID(), &configure{settings: settings{messageBytesMax: 1 << 20}})
	require.NoError(t, s.open())
	var syncs atomic.Int64
	s.fs.set(func(what, _ string) error {
		if what == "sync" {
			syncs.Add(1)
		}
		return nil
	})
	require.NoError(t, s.produce(batchOf(t, 1, 10)).err)
	require.Positive(t, syncs.Load(), "acknowledged without an fsync")
	s.end()
}

func TestTrimOfAPartitionThatOpens(t *testing.T) {
	s := newStage(t, settings{})
	got := make(chan error, 1)
	for s.handle.state.Load().write != nil {
		s.handle.Trim(0, func(_ codec.Offset, err error) { got <- err })
		<-got // every one is answered
	}
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 1, 10)).err)
	s.end()
}

func TestAReadOfEverything(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 1, 10)).err)
	p, err := s.handle.Read(nil, 0, math.MaxInt)
	require.NoError(t, err)
	require.NotEmpty(t, p)
	s.end()
}

func TestABrokerIsClosedTwice(t *testing.T) {
	b := startBroker(t, t.TempDir())
	closeBroker(t, b)
	closeBroker(t, b)
}

func TestAPanicWhileClosing(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	reached, held := make(chan struct{}, 10), make(chan struct{})
	s.fs.set(func(what, _ string) error {
		if what == "sync" {
			reached <- struct{}{}
			<-held
		}
		return nil
	})
	answered := make(chan error, 1)
	require.NoError(t, s.handle.Produce(context.Background(), batchOf(t, 1, 10), func(_ codec.Produced, err error) { answered <- err }))
	<-reached
	done := make(chan struct{})
	s.handle.tell(&closing{done: func() { close(done) }}, func(error) {})
	poison(s.handle)
	require.Equal(t, codec.Unknown, codec.CodeOf(<-answered))
	s.fs.set(nil)
	close(held)
	<-done
	<-s.pool.Close()
}

func TestTheDoorIsShutFromThePanicOn(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	for range 5 { // so that the pause before the restart is longer than a second
		poison(s.handle)
		require.NoError(t, s.open())
	}
	poison(s.handle)
	told := make(chan struct{})
	s.handle.Await(0, time.Hour, func() { close(told) })
	begun := time.Now()
	for s.handle.state.Load().write == nil {
		require.Less(t, time.Since(begun), time.Second)
	}
	require.Equal(t, codec.Unavailable, codec.CodeOf(s.produce(batchOf(t, 1, 10)).err))
	require.Less(t, time.Since(begun), time.Second, "it waited for the restart")
	require.NoError(t, s.open())
	s.end()
	<-told
}

func TestARestartTakesTheSettingsOfNow(t *testing.T) {
	b := startBroker(t, t.TempDir())
	require.NoError(t, createTopic(b, "t", 1, nil).err)
	h, err := b.Partition(codec.TopicPartition{Topic: "t"})
	require.NoError(t, err)
	for i := range 30 { // under the race detector, above all
		if i%10 == 5 {
			poison(h)
		}
		got := make(chan error, 1)
		b.AlterTopic(codec.AlterTopic{Topic: "t", Settings: map[string]string{"segment.bytes": []string{"1MiB", "2MiB"}[i%2]}}, func(_ codec.TopicDescription, err error) { got <- err })
		require.NoError(t, <-got)
	}
	closeBroker(t, b)
}

func TestWhoGivesUpTheHeadOfTheLine(t *testing.T) {
	c := newCredit(100, realClock{})
	require.NoError(t, c.take(context.Background(), 60))
	ctx, cancel := context.WithCancel(context.Background())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- c.take(ctx, 90) }()
	for queued := 0; queued < 1; {
		c.mu.Lock()
		queued = len(c.waiting)
		c.mu.Unlock()
	}
	go func() { second <- c.take(context.Background(), 30) }()
	for queued := 0; queued < 2; {
		c.mu.Lock()
		queued = len(c.waiting)
		c.mu.Unlock()
	}
	cancel()
	require.Error(t, <-first)
	require.NoError(t, <-second, "there was room for it all the time")
}

func TestCloseIsBoundedByItsContext(t *testing.T) {
	dir := t.TempDir()
	fs := &faultyFS{FS: wal.OS{}}
	pool := wal.NewPool(0)
	lock, err := wal.OS{}.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	b, err := wait(context.Background(), Config{Dir: dir, Node: "n1", Ports: Ports{Clock: realClock{}, Chance: randomness{}, FS: fs, Run: pool.Run}}, pool, lock)
	require.NoError(t, err)
	held := make(chan struct{})
	fs.set(func(what, _ string) error {
		if what == "sync" {
			<-held
		}
		return nil
	})
	b.CreateTopic(codec.CreateTopic{Topic: "t", Partitions: 1}, func(codec.TopicDescription, error) {})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, b.Close(ctx), "a disk may hang")
	fs.set(nil)
	close(held)
	require.NoError(t, b.Close(context.Background()))
}

// randomness is chance enough for a test.
type randomness struct{}

func (randomness) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i*37 + 11)
	}
	return len(p), nil
}
