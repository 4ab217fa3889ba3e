package service

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is how long tests wait for what has to happen.
const within = 30 * time.Second

var ours = codec.UUID{1}

func wait[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(within):
		require.Fail(t, "waited for "+what)
	}
	return v
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, within, time.Millisecond, what)
}

// broker is a real one with its link on a TCP port.
type broker struct {
	*actors.Broker
	link    *link.Link
	address string
	dir     string
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// brokers start a cluster of their names, each on its link.
func brokers(t testing.TB, tls map[codec.NodeID]*trust.Credentials, names ...codec.NodeID) map[codec.NodeID]*broker {
	t.Helper()
	all, peers := map[codec.NodeID]*broker{}, map[codec.NodeID]string{}
	at := map[codec.NodeID]*atomic.Pointer[actors.Broker]{}
	for i, n := range names {
		l, p := listen(t), &atomic.Pointer[actors.Broker]{}
		b := &broker{address: l.Addr().String(), dir: t.TempDir()}
		b.link = link.New(link.Config{
			Self: link.Self{Cluster: ours, Node: n, Disk: codec.UUID{15: byte(i + 1)}, Address: b.address}, Listener: l, TLS: tls[n],
			Hear: func(from codec.NodeID, letter []byte) { p.Load().Hear(from, letter) },
			Lost: func(n codec.NodeID) { p.Load().Lost(n) },
			Serve: func(ctx context.Context, name string, c *codec.Call, reply func(*codec.Reply)) func() {
				return p.Load().Serve(ctx, name, c, reply)
			},
		})
		all[n], peers[n], at[n] = b, b.address, p
	}
	launched := make(chan error, len(names))
	var ready sync.WaitGroup
	ready.Add(len(names))
	for i, n := range names {
		go func() {
			b, err := actors.Start(t.Context(), actors.Config{
				Dir: all[n].dir, Node: n, Disk: codec.UUID{15: byte(i + 1)}, Link: all[n].address, Founding: &actors.Founding{Cluster: ours, Nodes: names},
				Ports: actors.Ports{Link: all[n].link},
				Launched: func(b *actors.Broker) {
					at[n].Store(b)
					ready.Done()
					ready.Wait() // nobody is heard by who is not there yet
					all[n].link.SetPeers(peers)
				},
			})
			all[n].Broker = b
			launched <- err
		}()
	}
	for range names {
		require.NoError(t, wait(t, launched, "a broker to start"))
	}
	for _, b := range all {
		t.Cleanup(func() { b.stop(t) })
	}
	return all
}

func (b *broker) stop(t testing.TB) {
	require.NoError(t, b.Close(context.Background()))
	b.link.Close()
}

func (b *broker) create(t testing.TB, topic codec.Topic, partitions, replicas int32) {
	t.Helper()
	created := make(chan error, 1)
	b.CreateTopic(codec.CreateTopic{Topic: topic, Partitions: partitions, Replicas: replicas}, func(_ codec.TopicDescription, err error) { created <- err })
	require.NoError(t, wait(t, created, "a topic"))
}

// scripted is a broker's link whose answers a test gives.
type scripted struct {
	*link.Link
	address string
	calls   chan *codec.Call
	replies chan func(*codec.Reply)
}

func script(t testing.TB, node codec.NodeID, address string, window codec.Window) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := &scripted{address: l.Addr().String(), calls: make(chan *codec.Call, 10_000), replies: make(chan func(*codec.Reply), 10_000)}
	s.Link = link.New(link.Config{
		Self: link.Self{Cluster: ours, Node: node, Address: s.address}, Listener: l, Window: window,
		Serve: func(_ context.Context, _ string, c *codec.Call, reply func(*codec.Reply)) func() {
			s.calls <- c
			s.replies <- reply
			return nil
		},
	})
	t.Cleanup(s.Close)
	return s
}

// program is a Go program's actor system, attached.
type program struct {
	*Attachment
	testing.TB
	system *actor.ActorSystem
}

func attach(t testing.TB, c Config) *program {
	t.Helper()
	if c.Name == "" {
		c.Name = "billing"
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	a, err := Attach(t.Context(), system, c)
	require.NoError(t, err)
	t.Cleanup(func() {
		a.Close()
		system.Shutdown()
	})
	return &program{a, t, system}
}

// ask sends a message to a partition of bookings.
func (p *program) ask(partition codec.Partition, message any) actor.Future {
	return p.system.Root.RequestFuture(p.Partition("bookings", partition), message, within)
}

func answer[T any](t testing.TB, f actor.Future) T {
	t.Helper()
	got, err := f.Result()
	require.NoError(t, err)
	require.IsType(t, *new(T), got)
	return got.(T)
}

func batchOf(t testing.TB, values ...string) codec.Batch {
	t.Helper()
	var w codec.Builder
	for i, v := range values {
		w.Append(codec.Millis(1000*(i+1)), nil, []byte(v), nil)
	}
	b, err := w.Build(codec.NoCompression)
	require.NoError(t, err)
	return b
}

// certificates makes those of an authority of its own.
func certificates(t testing.TB) func(role codec.Role, name string) *trust.Credentials {
	t.Helper()
	dir := t.TempDir()
	pair, err := trust.NewAuthority(time.Now(), time.Hour)
	require.NoError(t, err)
	ca := filepath.Join(dir, trust.AuthorityCert)
	require.NoError(t, trust.Write(pair, ca, filepath.Join(dir, trust.AuthorityKey), false))
	return func(role codec.Role, name string) *trust.Credentials {
		who := codec.Identity{Role: role, Name: name}
		p, err := trust.Issue(pair, trust.Order{Identity: who, Holds: time.Hour}, time.Now())
		require.NoError(t, err)
		cert, key := trust.FilesOf(dir, who)
		require.NoError(t, trust.Write(p, cert, key, true))
		c, err := trust.Load(trust.Files{Cert: cert, Key: key, CA: ca}, nil)
		require.NoError(t, err)
		return c
	}
}
