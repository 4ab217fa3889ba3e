package world_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
	"github.com/troupe-mq/troupe/wal"
)

// What a reader of the code found, and no seed had: each is a play of its own.

// solo is one node, driven step by step.
type solo struct {
	t *testing.T
	w *world.World
	n *world.Node
}

func newSolo(t *testing.T) *solo {
	w := world.New(7, 1_700_000_000_000)
	n, err := w.Node("n1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()); w.Close() })
	s := &solo{t, w, n}
	s.start()
	return s
}

func (s *solo) start() {
	s.n.Start()
	require.NoError(s.t, s.w.Run(func() bool { ok, err := s.n.Started(); return ok || err != nil }, time.Minute))
	_, err := s.n.Started()
	require.NoError(s.t, err)
}

func (s *solo) crash(m world.Mode) {
	s.n.Kill()
	require.NoError(s.t, s.n.Disk.Crash(m, nil))
}

// wait runs until the reply that f is given was called.
func (s *solo) wait(f func(reply func(error))) (err error) {
	done := false
	f(func(e error) { err, done = e, true })
	require.NoError(s.t, s.w.Run(func() bool { return done }, time.Minute))
	return err
}

func (s *solo) create(settings map[string]string) error {
	return s.wait(func(reply func(error)) {
		s.n.Broker.CreateTopic(codec.CreateTopic{Topic: "t", Partitions: 1, Settings: settings}, func(_ codec.TopicDescription, err error) { reply(err) })
	})
}

func (s *solo) produce(bytes int) error {
	h, err := s.n.Broker.Partition(codec.TopicPartition{Topic: "t"})
	require.NoError(s.t, err)
	var b codec.Builder
	b.Append(1, nil, make([]byte, bytes), nil)
	p, err := b.Build(codec.NoCompression)
	require.NoError(s.t, err)
	return s.wait(func(reply func(error)) {
		if err := h.Produce(context.Background(), append(codec.Batch(nil), p...), func(_ codec.Produced, err error) { reply(err) }); err != nil {
			reply(err)
		}
	})
}

func (s *solo) watermark() codec.Offset {
	h, err := s.n.Broker.Partition(codec.TopicPartition{Topic: "t"})
	require.NoError(s.t, err)
	_, hw, err := h.Bounds()
	require.NoError(s.t, err)
	return hw
}

// A snapshot of the metadata is ahead of the commit index on the disk when the
// process is killed behind it: the broker would not start any more.
func TestAKillBehindAMetadataSnapshot(t *testing.T) {
	s := newSolo(t)
	require.NoError(t, s.create(nil))
	for range 1100 {
		require.NoError(t, s.wait(func(reply func(error)) {
			s.n.Broker.AlterTopic(codec.AlterTopic{Topic: "t"}, func(_ codec.TopicDescription, err error) { reply(err) })
		}))
	}
	require.NoError(t, s.w.RunFor(50*time.Millisecond))
	revision := s.n.Broker.Metadata().Revision
	s.crash(world.Kept)
	s.start()
	require.Equal(t, revision+1, s.n.Broker.Metadata().Revision, "and it registered")
}

// The process is killed between the rename that finishes a replica's directory
// and the fsync of its name. The next one must not put records into a
// directory that a loss of power takes.
func TestANameThatWasNeverFsynced(t *testing.T) {
	s := newSolo(t)
	killed := false
	s.n.Disk.OnCall(func(c world.Call) {
		if c.Op == "rename" && c.Done && strings.HasSuffix(c.Name, "g2-r2.new") {
			killed = true
			s.n.Disk.OnCall(nil)
			s.crash(world.Kept)
		}
	})
	s.n.Broker.CreateTopic(codec.CreateTopic{Topic: "t", Partitions: 1}, func(codec.TopicDescription, error) {})
	_ = s.w.Run(func() bool { return killed }, time.Minute)
	require.True(t, killed)
	s.start()
	require.NoError(t, s.produce(10))
	s.crash(world.Lost)
	s.start()
	require.Equal(t, codec.Offset(1), s.watermark())
}

func TestADirectoryThatWasNeverFsynced(t *testing.T) {
	d, err := world.NewDisk(1)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	dir := filepath.Join(d.Root(), "a", "data")
	d.OnCall(func(c world.Call) {
		if c.Op == "mkdir" && c.Done {
			d.OnCall(nil)
			require.NoError(t, d.Crash(world.Kept, nil))
		}
	})
	require.Error(t, wal.MakeDir(d.Mount(), dir))
	require.NoError(t, wal.MakeDir(d.Mount(), dir), "the next process")
	require.NoError(t, wal.WriteFile(d.Mount(), filepath.Join(dir, "x"), []byte("kept")))
	require.NoError(t, d.Crash(world.Lost, nil))
	_, err = wal.ReadFile(d.Mount(), filepath.Join(dir, "x"))
	require.NoError(t, err)
}

// There is no room for a moment while a topic's directory is made.
func TestATopicThatHadNoRoomGetsIt(t *testing.T) {
	s := newSolo(t)
	hit := false
	s.n.Disk.Inject(func(c world.Call) world.Fault {
		if !hit && c.Op == "mkdir" && strings.Contains(c.Name, "g2-r2") {
			hit = true
			return world.ENOSPC
		}
		return world.None
	})
	require.NoError(t, s.create(nil), "it was decided, whatever the disk says")
	require.Equal(t, codec.DiskFull, codec.CodeOf(s.produce(10)))
	require.NoError(t, s.w.RunFor(10*time.Second))
	require.NoError(t, s.produce(10))
}

// A broker fills its own disk to the last byte, and its retention makes room.
func TestAFullDiskFreesItself(t *testing.T) {
	s := newSolo(t)
	require.NoError(t, s.create(map[string]string{"segment.bytes": "1MiB", "retention.bytes": "1MiB"}))
	s.n.Disk.SetCapacity(s.n.Disk.Used() + 300<<20)
	var err error
	for err == nil {
		err = s.produce(900 << 10) // faster than the room is looked at
	}
	require.Contains(t, []codec.Code{codec.Unknown, codec.DiskFull}, codec.CodeOf(err), "%v", err)
	require.NoError(t, s.w.RunFor(5*time.Minute))
	require.NoError(t, s.produce(900<<10))
}

// What a deletion had to leave behind comes back with a loss of power, and is
// swept at the start.
func TestWhatWasDeletedDoesNotComeBack(t *testing.T) {
	s := newSolo(t)
	require.NoError(t, s.create(nil))
	require.NoError(t, s.produce(10))
	require.NoError(t, s.wait(func(reply func(error)) { s.n.Broker.DeleteTopic("t", reply) }))
	require.NoError(t, s.w.RunFor(30*time.Second))
	s.crash(world.Lost)
	s.start()
	require.NoError(t, s.w.RunFor(time.Minute))
	list, err := s.n.Disk.Mount().ReadDir(filepath.Join(s.n.Disk.Root(), "data"))
	require.NoError(t, err)
	for _, e := range list {
		require.NotContains(t, e.Name, "g2-r2")
	}
}

// To remove data needs a little room on some file systems, and is what makes room:
// it is tried again, without a new start.
func TestWhatIsDeletedOnAFullDiskGoes(t *testing.T) {
	s := newSolo(t)
	require.NoError(t, s.create(nil))
	refused := 0
	s.n.Disk.Inject(func(c world.Call) world.Fault {
		if c.Op == "rename" && strings.HasSuffix(c.Name, "g2-r2") && refused < 3 {
			refused++
			return world.ENOSPC
		}
		return world.None
	})
	require.NoError(t, s.wait(func(reply func(error)) { s.n.Broker.DeleteTopic("t", reply) }))
	require.NoError(t, s.w.RunFor(30*time.Second))
	require.Equal(t, 3, refused)
	require.Empty(t, s.n.Broker.Metadata().Tombstones)
	list, err := s.n.Disk.Mount().ReadDir(filepath.Join(s.n.Disk.Root(), "data"))
	require.NoError(t, err)
	for _, e := range list {
		require.NotContains(t, e.Name, "g2-r2")
	}
}

// A vote whose fsync failed is found in the page cache by the next process. If
// that goes on with it, a loss of power must not take it back.
func TestAVoteOfAFailedFsync(t *testing.T) {
	p := newLogPlay(t, 1)
	p.create()
	p.vote(2)
	p.append(1, 1, 10)
	p.commit()
	require.NoError(t, p.log.Rest(p.x.Committed()))
	p.disk.Inject(func(c world.Call) world.Fault {
		if c.Op == "sync" && strings.HasSuffix(c.Name, "hard") {
			return world.EIO
		}
		return world.None
	})
	require.Error(t, p.log.Write(&wal.Write{Vote: &wal.Vote{Term: 9, For: 3}}))
	p.disk.Inject(nil)
	require.NoError(t, p.disk.Crash(world.Kept, nil))
	o, err := wal.Open(p.disk.Mount(), p.dir, p.opts, nil)
	require.NoError(t, err)
	term := o.Hard.Term
	require.NoError(t, o.Log.Close())
	require.NoError(t, p.disk.Crash(world.Lost, nil))
	o, err = wal.Open(p.disk.Mount(), p.dir, p.opts, nil)
	require.NoError(t, err)
	require.Equal(t, term, o.Hard.Term)
	require.NoError(t, o.Log.Close())
}
