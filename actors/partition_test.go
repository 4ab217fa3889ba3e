package actors

import (
	"context"
	"crypto/rand"

	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// testClock is the machine's clock, for tests that meet the real disk.
type testClock struct{}

func (testClock) Now() codec.Millis { return codec.Millis(time.Now().UnixMilli()) }

func (testClock) After(d time.Duration, f func()) (cancel func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// faultyFS fails chosen calls of a real disk.
type faultyFS struct {
	wal.FS
	fail atomic.Pointer[func(what, name string) error]
	free atomic.Int64 // 0 = ask the disk
}

func (f *faultyFS) set(fail func(what, name string) error) { f.fail.Store(&fail) }

func (f *faultyFS) ask(what, name string) error {
	if g := f.fail.Load(); g != nil && *g != nil {
		return (*g)(what, name)
	}
	return nil
}

func (f *faultyFS) Open(name string, create bool) (wal.File, error) {
	file, err := f.FS.Open(name, create)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f, name}, nil
}

func (f *faultyFS) Free(dir string) (int64, error) {
	if n := f.free.Load(); n != 0 {
		return n, nil
	}
	return f.FS.Free(dir)
}

type faultyFile struct {
	wal.File
	fs   *faultyFS
	name string
}

func (f *faultyFile) WriteAt(off int64, bufs ...[]byte) error {
	if err := f.fs.ask("write", f.name); err != nil {
		return err
	}
	return f.File.WriteAt(off, bufs...)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.ask("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// stage is one partition on the real disk, without a broker around it.
type stage struct {
	t      testing.TB
	house  *house
	pool   *wal.Pool
	fs     *faultyFS
	dir    string
	handle *Handle
	seat   seat
	heard  chan *ready
}

// listener stands in for the broker, as the parent whose supervisor restarts
// the partition too.
type listener struct{ heard chan *ready }

// birth asks it for a child.
type birth struct {
	props *actor.Props
	born  chan *actor.PID
}

func (l *listener) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *ready:
		l.heard <- m
	case *birth:
		m.born <- c.Spawn(m.props)
	}
}

func newStage(t testing.TB, set settings) *stage {
	s := &stage{t: t, pool: wal.NewPool(4), fs: &faultyFS{FS: wal.OS{}}, dir: t.TempDir(), heard: make(chan *ready, 100)}
	if set.messageBytesMax == 0 {
		set.messageBytesMax = 1 << 20
	}
	s.seat = seat{group: 2, id: 9, name: "t/0", dir: filepath.Join(s.dir, "g2-r9"), settings: set}
	require.NoError(t, wal.Create(s.fs, s.seat.dir, newborn(2, 9, []cluster.Replica{{ID: 9}}, false)))
	s.start()
	return s
}

func (s *stage) start() {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if os.Getenv("TROUPE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s.house = newHouse(Config{Dir: s.dir, Log: log, Ports: Ports{Clock: testClock{}, Chance: rand.Reader, FS: s.fs, Run: s.pool.Run}})
	ear, err := s.house.system.Root.SpawnNamed(s.house.props(func() actor.Actor { return &listener{s.heard} }), "broker")
	require.NoError(s.t, err)
	s.house.broker = ear
	s.handle = newHandle(s.house, codec.TopicPartition{Topic: "t"}, "t/0")
	s.handle.set.Store(&s.seat.settings)
	m := &birth{s.house.props(func() actor.Actor { return &Partition{house: s.house, seat: s.seat, pub: s.handle} }), make(chan *actor.PID)}
	s.house.system.Root.Send(ear, m)
	s.handle.pid.Store(<-m.born)
}

// open waits for the partition to say that it serves, or why not.
func (s *stage) open() error {
	s.t.Helper()
	select {
	case m := <-s.heard:
		return m.err
	case <-time.After(20 * time.Second):
		s.t.Fatal("the partition says nothing")
		return nil
	}
}

func (s *stage) close() {
	done := make(chan struct{})
	s.handle.tell(&closing{done: func() { close(done) }}, func(error) {})
	<-done
}

func (s *stage) end() { s.close(); <-s.pool.Close() }

type outcome struct {
	codec.Produced
	err error
}

// batchOf makes a batch of n records of some bytes each.
func batchOf(t testing.TB, n, bytes int) codec.Batch {
	var b codec.Builder
	for i := range n {
		b.Append(codec.Millis(i), nil, fmt.Appendf(make([]byte, 0, bytes), "%0*d", bytes, i), nil)
	}
	p, err := b.Build(codec.NoCompression)
	require.NoError(t, err)
	return append(codec.Batch(nil), p...)
}

func (s *stage) produce(b codec.Batch) outcome {
	got := make(chan outcome, 1)
	err := s.handle.Produce(context.Background(), b, func(p codec.Produced, err error) { got <- outcome{p, err} })
	if err != nil {
		return outcome{err: err}
	}
	return <-got
}

func TestAProducedBatchIsReadBack(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	o := s.produce(batchOf(t, 3, 100))
	require.NoError(t, o.err)
	require.Zero(t, o.Base)
	o = s.produce(batchOf(t, 4, 100))
	require.NoError(t, o.err)
	require.Equal(t, codec.Offset(3), o.Base)
	start, hw, err := s.handle.Bounds()
	require.NoError(t, err)
	require.Zero(t, start)
	require.Equal(t, codec.Offset(7), hw)
	p, err := s.handle.Read(nil, 4, 1<<20)
	require.NoError(t, err)
	require.Equal(t, codec.Offset(3), codec.Batch(p).BaseOffset())
	s.close()
	require.Equal(t, codec.Stopping, codec.CodeOf(s.produce(batchOf(t, 1, 10)).err))
	s.start()
	require.NoError(t, s.open())
	_, hw, err = s.handle.Bounds()
	require.NoError(t, err)
	require.Equal(t, codec.Offset(7), hw)
	require.Zero(t, s.house.credit.inFlight())
	s.end()
}

func TestManyProducersShareGroups(t *testing.T) {
	s := newStage(t, settings{segmentBytes: 1 << 20})
	require.NoError(t, s.open())
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[codec.Offset]bool)
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				o := s.produce(batchOf(t, 5, 1000))
				if o.err != nil {
					t.Error(o.err)
					return
				}
				mu.Lock()
				seen[o.Base] = true
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	require.Len(t, seen, 400)
	_, hw, err := s.handle.Bounds()
	require.NoError(t, err)
	require.Equal(t, codec.Offset(2000), hw)
	next := codec.Offset(0)
	for next < hw {
		p, err := s.handle.Read(nil, next, 100<<10)
		require.NoError(t, err)
		for len(p) > 0 {
			b := codec.Batch(p)
			b = b[:b.Size()]
			require.Equal(t, next, b.BaseOffset())
			next += codec.Offset(b.Count())
			p = p[len(b):]
		}
	}
	s.end()
}

func TestWhoWaitsAtTheTailIsTold(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	told := make(chan string, 10)
	s.handle.Await(0, time.Hour, func() { told <- "first" })
	s.handle.Await(3, time.Millisecond, func() { told <- "late" })
	require.Equal(t, "late", <-told)
	require.NoError(t, s.produce(batchOf(t, 1, 10)).err)
	require.Equal(t, "first", <-told)
	s.handle.Await(0, time.Hour, func() { told <- "at once" })
	require.Equal(t, "at once", <-told)
	cancel := s.handle.Await(1, time.Hour, func() { told <- "cancelled" })
	cancel()
	s.handle.Await(1, time.Hour, func() { told <- "closing" })
	s.end()
	require.Equal(t, "closing", <-told)
	require.Empty(t, told)
}

func TestABatchWithoutCreditIsRefused(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	got := make(chan error, 1)
	s.house.send(s.handle.PID(), &Produce{batch: batchOf(t, 1, 10), reply: func(_ codec.Produced, err error) { got <- err }})
	require.EqualError(t, <-got, "OVERLOADED: a batch was sent to t/0 without credit: use a handle")
	s.end()
}

func TestAFullDiskRefusesAndResumes(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	s.fs.free.Store(1)
	s.fs.set(func(what, name string) error {
		if what == "write" && filepath.Base(name) != "hard" {
			return syscall.ENOSPC
		}
		return nil
	})
	o := s.produce(batchOf(t, 5, 100))
	require.Equal(t, codec.Unknown, codec.CodeOf(o.err), "it was in flight")
	require.Equal(t, codec.DiskFull, codec.CodeOf(s.open()))
	require.ErrorContains(t, s.produce(batchOf(t, 5, 100)).err, "DISK_FULL: t/0 takes no records")
	p, err := s.handle.Read(nil, 0, 1000)
	require.NoError(t, err, "reads go on")
	require.NotEmpty(t, p)
	s.fs.set(nil)
	s.fs.free.Store(1 << 40)
	require.NoError(t, s.open(), "it resumes when there is room")
	o = s.produce(batchOf(t, 5, 100))
	require.NoError(t, o.err)
	require.GreaterOrEqual(t, o.Base, codec.Offset(5))
	s.end()
}

func TestAFailedFsyncStopsTheReplica(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	var once sync.Once
	s.fs.set(func(what, _ string) (err error) {
		if what == "sync" {
			once.Do(func() { err = syscall.EIO })
		}
		return err
	})
	require.Equal(t, codec.Unknown, codec.CodeOf(s.produce(batchOf(t, 5, 100)).err))
	require.Equal(t, codec.DiskFailed, codec.CodeOf(s.open()))
	o := s.produce(batchOf(t, 5, 100))
	require.Equal(t, codec.DiskFailed, codec.CodeOf(o.err), "it is never tried again")
	require.ErrorContains(t, o.err, "its disk failed")
	_, err := s.handle.Read(nil, 0, 1000)
	require.Equal(t, codec.DiskFailed, codec.CodeOf(err))
	s.end()
}

// A reader that was long at a file of the replica that this one has replaced says
// nothing about this one.
func TestDamageOfTheReplicaBeforeIsNotOfThisOne(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	before := filepath.Join(replicaDir(filepath.Dir(s.seat.dir), s.seat.group, s.seat.id-1), "seg", fmt.Sprintf("%020d.seg", 0))
	require.Equal(t, codec.CorruptLog, codec.CodeOf(s.handle.judge(&wal.Corrupt{File: before, At: 1, Why: "rot"})))
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	s.end()
}

func TestADamagedSegmentIsQuarantinedByItsReader(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	name := filepath.Join(s.seat.dir, "seg", fmt.Sprintf("%020d.seg", 0))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0xff}, 300)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = s.handle.Read(nil, 0, 1000)
	require.Equal(t, codec.CorruptLog, codec.CodeOf(err))
	require.ErrorContains(t, err, name)
	require.Equal(t, codec.CorruptLog, codec.CodeOf(s.open()))
	require.Equal(t, codec.CorruptLog, codec.CodeOf(s.produce(batchOf(t, 5, 100)).err))
	s.close()

	// An opening reads no segment to its end, and yet it is not used again.
	s.start()
	require.ErrorContains(t, s.open(), "it was found damaged before: damaged file seg/"+filepath.Base(name))
	_, err = s.handle.Read(nil, 0, 1000)
	require.Equal(t, codec.CorruptLog, codec.CodeOf(err))
	require.Equal(t, codec.CorruptLog, s.handle.stats().Trouble)
	s.close()
	r, err := wal.Inspect(wal.OS{}, s.seat.dir, nil)
	require.NoError(t, err, "it might be torn: it is the last group, and nothing says that it was durable")
	require.Contains(t, r.Quarantined, "damaged file seg/"+filepath.Base(name))

	// Until somebody who knows better says so.
	require.NoError(t, os.Remove(filepath.Join(s.seat.dir, "quarantined")))
	s.start()
	require.NoError(t, s.open())
	s.end()
}

func TestAPanicReopensFromDisk(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	// An entry that no machine takes: the turn that applies it panics. It is
	// in the log then, so the replica panics again, ever more slowly; here the
	// poison is in a message.
	s.handle.tell(&opened{life: int(s.handle.lives.Load()), found: nil, err: &wal.Panicked{Why: "a broken invariant"}}, func(error) {})
	require.NoError(t, s.open())
	o := s.produce(batchOf(t, 5, 100))
	require.NoError(t, o.err)
	require.Equal(t, codec.Offset(5), o.Base)
	require.Equal(t, 1, descriptorsOf(t, filepath.Join(s.seat.dir, "hard")), "of two logs on one directory the first is closed before the second is opened")
	s.end()
}

func TestTrimMovesTheStart(t *testing.T) {
	s := newStage(t, settings{segmentBytes: 1 << 20})
	require.NoError(t, s.open())
	for range 40 {
		require.NoError(t, s.produce(batchOf(t, 10, 10_000)).err)
	}
	type answer struct {
		start codec.Offset
		err   error
	}
	got := make(chan answer, 1)
	trim := func(before codec.Offset) answer {
		s.handle.Trim(before, func(o codec.Offset, err error) { got <- answer{o, err} })
		return <-got
	}
	a := trim(401)
	require.EqualError(t, a.err, "OFFSET_OUT_OF_RANGE: cannot trim before offset 401: the high watermark is 400")
	a = trim(305)
	require.NoError(t, a.err)
	start, hw, err := s.handle.Bounds()
	require.NoError(t, err)
	require.Equal(t, codec.Offset(305), start)
	require.Equal(t, codec.Offset(400), hw)
	require.Equal(t, codec.Offset(305), trim(7).start, "it never goes back")
	s.close()
	list, err := os.ReadDir(filepath.Join(s.seat.dir, "seg"))
	require.NoError(t, err)
	require.Len(t, list, 1, "whole segments below are gone")
	s.start()
	require.NoError(t, s.open())
	start, _, err = s.handle.Bounds()
	require.NoError(t, err)
	require.Equal(t, codec.Offset(305), start)
	s.end()
}

func TestWithoutDescriptorsTheReplicaPauses(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	s.fs.set(func(what, _ string) error {
		if what == "sync" {
			return fmt.Errorf("open: %w", syscall.EMFILE) // as when the directory cannot be opened to be fsynced
		}
		return nil
	})
	require.Equal(t, codec.Unknown, codec.CodeOf(s.produce(batchOf(t, 5, 100)).err))
	require.Equal(t, codec.Overloaded, codec.CodeOf(s.open()))
	require.ErrorContains(t, s.produce(batchOf(t, 5, 100)).err, "OVERLOADED: t/0 takes no records: the broker has no file descriptors left (ulimit -n)")
	_, err := s.handle.Read(nil, 0, 1000)
	require.NoError(t, err, "reads go on")
	s.fs.set(nil)
	require.NoError(t, s.open(), "it resumes by itself")
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	s.end()
}

func TestAReadAboveTheEndIsOutOfRange(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	_, err := s.handle.Read(nil, 6, 1000)
	require.EqualError(t, err, "OFFSET_OUT_OF_RANGE: offset 6 is above the end of the log, 5")
	s.end()
}

// What a leader has and does not show yet is above the end for nobody: it has told others
// that it is committed before.
func TestAReadOfWhatALeaderDoesNotShowYetComesAgain(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	five := s.handle.view.Load()
	require.NoError(t, s.produce(batchOf(t, 5, 100)).err)
	s.handle.view.Store(five)
	for offset, want := range map[codec.Offset]codec.Code{5: codec.OK, 6: codec.OffsetNotAvailable, 10: codec.OffsetNotAvailable, 11: codec.OffsetOutOfRange} {
		_, err := s.handle.Read(nil, offset, 1000)
		require.Equal(t, want, codec.CodeOf(err), "offset %d: %v", offset, err)
	}
	s.end()
}

// A hundred thousand readers at the tail leave at once, and the partition
// goes on meanwhile.
func TestManyWhoWaitLeaveAtOnce(t *testing.T) {
	s := newStage(t, settings{})
	require.NoError(t, s.open())
	const n = 100_000
	var told sync.WaitGroup
	told.Add(1)
	cancels := make([]func(), n)
	for i := range cancels {
		cancels[i] = s.handle.Await(0, time.Hour, func() {})
	}
	s.handle.Await(0, time.Hour, told.Done)
	begun := time.Now()
	for i := range cancels {
		cancels[n-1-i]()
	}
	require.NoError(t, s.produce(batchOf(t, 1, 10)).err)
	told.Wait()
	require.Less(t, time.Since(begun), 20*time.Second, "each leaving looked at all the others")
	s.end()
}
