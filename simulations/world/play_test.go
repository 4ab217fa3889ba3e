package world

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/simulations/scenario"
	"github.com/troupe-mq/troupe/wal"
)

// TestMain lets a test run this binary again as a process of its own that
// plays one seed and prints the hash.
func TestMain(m *testing.M) {
	if seed, err := strconv.ParseUint(os.Getenv("TROUPE_WORLD_PLAY"), 10, 64); err == nil {
		p, err := play(seed, 3*time.Second)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("hash", p.hash)
		os.Exit(0)
	}
	if seed, err := strconv.ParseUint(os.Getenv("TROUPE_WORLD_ONENODE"), 10, 64); err == nil {
		s, err := RunOneNode(seed, nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("hash", s.Hash)
		os.Exit(0)
	}
	if name := os.Getenv("TROUPE_WORLD_SCENARIO"); name != "" {
		seed, _ := strconv.ParseUint(os.Getenv("TROUPE_SIM_SEED"), 10, 64)
		s, err := scenario.Find(name)
		if err == nil {
			s.Lasts, err = time.ParseDuration(os.Getenv("TROUPE_WORLD_LASTS"))
		}
		if err == nil {
			var o Outcome
			o, err = Play(s, seed, nil)
			fmt.Println("hash", o.Hash)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The play: a writer puts lines into a file through an executor and answers
// when they are fsynced; now and then it panics and is restarted; three
// senders send as soon as they are answered; the process is killed in the
// middle and begins again on the same disk.
type (
	write   struct{ line string }
	written struct{ line string }
	durable struct {
		line   string
		sender *actor.PID
	}
	result struct {
		hash                      string
		answered, restarts, lines int
	}
)

func (w write) Digest() uint64 { return checksum([]byte(w.line)) }

type writer struct {
	run     func(func())
	fs      wal.FS
	name    string
	life    *Life
	f       wal.File
	size    int64
	started *int
	seen    int
}

func (a *writer) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		*a.started++
		f, err := a.fs.Open(a.name, true)
		must(err)
		must(a.fs.SyncDir(filepath.Dir(a.name)))
		size, err := f.Size()
		must(err)
		a.f, a.size = f, size
	case *actor.Restarting, *actor.Stopping:
		must(a.f.Close())
	case *write:
		if a.seen++; a.seen%17 == 0 {
			panic("a bug")
		}
		f, off, self, sender, root := a.f, a.size, c.Self(), c.Sender(), c.ActorSystem().Root
		a.size += int64(len(m.line))
		a.run(func() {
			if f.WriteAt(off, []byte(m.line)) == nil && f.Sync() == nil {
				root.Send(self, &durable{m.line, sender})
			}
		})
	case *durable:
		c.Send(m.sender, &written{m.line})
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type sender struct {
	life     *Life
	to       *actor.PID
	n        int
	answered func(line string)
	waiting  string
}

func (a *sender) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.next(c)
	case *written:
		if m.line == a.waiting {
			a.answered(m.line)
			a.next(c)
		}
	}
}

// next sends another line, and sends it again if no answer comes.
func (a *sender) next(c actor.Context) {
	a.n++
	line := fmt.Sprintf("%s-%d\n", c.Self().Id, a.n)
	a.waiting = line
	self, root, to := c.Self(), c.ActorSystem().Root, a.to
	root.RequestWithCustomSender(to, &write{line}, self)
	a.life.After(200*time.Millisecond, func() {
		if a.waiting == line {
			root.RequestWithCustomSender(to, &write{line}, self)
		}
	})
}

func quiet(*actor.ActorSystem) *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func play(seed uint64, d time.Duration) (r result, err error) {
	w := New(seed, begin)
	defer w.Close()
	disk, err := w.Disk("disk")
	if err != nil {
		return r, err
	}
	defer func() { err = joined(err, disk.Close()) }()
	acked := map[string]bool{}
	for i := 1; i <= 2; i++ {
		life := w.Life(fmt.Sprintf("n1.%d", i))
		system := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
		a := &writer{run: life.Executor(time.Millisecond, 20*time.Millisecond), fs: disk.Mount(),
			name: filepath.Join(disk.Root(), "lines"), life: life, started: &r.restarts}
		supervisor := actor.NewOneForOneStrategy(1000, time.Hour, func(any) actor.Directive { return actor.RestartDirective })
		options := append(life.Props(), actor.WithGuardian(supervisor))
		pid, err := system.Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return a }, options...), "writer")
		if err != nil {
			return r, err
		}
		for s := range 3 {
			from := &sender{life: life, to: pid, answered: func(line string) { acked[line] = true; r.answered++ }}
			props := actor.PropsFromProducer(func() actor.Actor { return from }, life.Props()...)
			if _, err := system.Root.SpawnNamed(props, fmt.Sprintf("sender%d.%d", s, i)); err != nil {
				return r, err
			}
		}
		if err := w.RunFor(d / 2); err != nil {
			return r, err
		}
		life.Kill()
		if err := disk.Crash(Any, nil); err != nil {
			return r, err
		}
	}
	text, err := os.ReadFile(filepath.Join(disk.Root(), "lines"))
	r.lines, r.hash = strings.Count(string(text), "\n"), w.Hash()
	for line := range acked {
		if !strings.Contains(string(text), line) {
			return r, joined(err, fmt.Errorf("seed %d: the answered line %q is gone", seed, line))
		}
	}
	return r, err
}

func joined(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestPlay(t *testing.T) {
	hashes := map[string]bool{}
	all := seeds(t, 20)
	for _, seed := range all {
		r, err := play(seed, 3*time.Second)
		require.NoError(t, err)
		require.Greater(t, r.answered, 100)
		require.Greater(t, r.restarts, 5)
		require.GreaterOrEqual(t, r.lines, r.answered)
		hashes[r.hash] = true
	}
	require.Len(t, hashes, len(all))
}

// TestSameSeedSameHashInTwoProcesses is the promise of the package.
func TestSameSeedSameHashInTwoProcesses(t *testing.T) {
	for seed := range uint64(5) {
		here, err := play(seed, 3*time.Second)
		require.NoError(t, err)
		other := exec.Command(os.Args[0])
		other.Env = append(os.Environ(), fmt.Sprintf("TROUPE_WORLD_PLAY=%d", seed))
		out, err := other.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "hash "+here.hash+"\n", string(out), "seed %d", seed)
	}
}

// TestMailbox is what protoactor promises of a mailbox, one step at a time.
func TestMailbox(t *testing.T) {
	w := in(t, 1)
	life := w.Life("n1.1")
	system := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
	var got []string
	receive := func(c actor.Context) {
		switch m := c.Message().(type) {
		case string:
			if m == "panic" {
				panic("a bug")
			}
			got = append(got, m)
		case *actor.Started, *actor.Restarting, *actor.Stopping, *actor.Stopped:
			got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", m), "*actor."))
		}
	}
	pid, err := system.Root.SpawnNamed(actor.PropsFromFunc(receive, life.Props()...), "a")
	require.NoError(t, err)
	for _, m := range []string{"1", "2", "panic", "3"} {
		system.Root.Send(pid, m)
	}
	require.Empty(t, got, "nothing happens before a step")
	require.True(t, w.Step())
	require.True(t, w.Step())
	require.Equal(t, []string{"Started", "1"}, got)
	require.NoError(t, w.RunFor(time.Second))
	require.Equal(t, []string{"Started", "1", "2", "Restarting", "Started", "3"}, got)

	system.Root.Send(pid, "5")
	life.Kill()
	system.Root.Send(pid, "6")
	life.After(time.Millisecond, func() { got = append(got, "timer") })
	life.Executor(0, time.Millisecond)(func() { got = append(got, "job") })
	life.Dispatcher().Schedule(func() { got = append(got, "scheduled") })
	require.NoError(t, w.RunFor(time.Second))
	require.Len(t, got, 6, "a killed life does nothing more: %v", got)
}

// TestHanging is a disk call that never returns: the job or the actor that
// made it is gone, the world goes on, and no supervisor hears of it.
func TestHanging(t *testing.T) {
	w := in(t, 1)
	disk, err := w.Disk("disk")
	require.NoError(t, err)
	defer func() { require.NoError(t, disk.Close()) }()
	fs, name := disk.Mount(), filepath.Join(disk.Root(), "f")
	life := w.Life("n1.1")

	done := 0
	run := life.Executor(0, time.Millisecond)
	disk.FailCall(0, Hang)
	for range 2 {
		run(func() {
			_, err := fs.Open(name, true)
			require.NoError(t, err)
			done++
		})
	}
	require.NoError(t, w.RunFor(time.Second))
	require.Equal(t, 1, done)

	system := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
	got := 0
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(string); ok {
			got++
			_, _ = fs.ReadDir(disk.Root())
		}
	}, life.Props()...))
	disk.FailCall(0, Hang)
	system.Root.Send(pid, "hang")
	system.Root.Send(pid, "never")
	require.NoError(t, w.RunFor(time.Second))
	require.Equal(t, 1, got)

	require.Panics(t, func() { unlessHung(func() { panic("a bug") }) }, "only a hang is abandoned")
}
