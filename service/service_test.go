package service

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

// A service's actors get the answers that actors in the broker's process get, to the same
// messages, over a line with TLS.
func TestTheSameMessagesAndAnswers(t *testing.T) {
	issue := certificates(t)
	b := brokers(t, map[codec.NodeID]*trust.Credentials{"n1": issue(codec.RoleBroker, "n1")}, "n1")["n1"]
	b.create(t, "bookings", 2, 1)
	p := attach(t, Config{Name: "billing", Brokers: []string{b.address}, TLS: issue(codec.RoleService, "billing")})
	require.Equal(t, ours, p.Cluster())
	here := func(partition codec.Partition, message any) any {
		got, err := b.System().Root.RequestFuture(b.PID(codec.TopicPartition{Topic: "bookings", Partition: partition}), message, within).Result()
		require.NoError(t, err)
		return got
	}
	stored := answer[*codec.Stored](t, p.ask(0, &codec.Store{Tag: 7, Batch: batchOf(t, "one", "two")}))
	require.NoError(t, stored.Err)
	require.Equal(t, uint64(7), stored.Tag)
	require.Equal(t, codec.Offset(0), stored.Base)
	require.Equal(t, codec.Offset(2), here(0, &codec.Store{Batch: batchOf(t, "three")}).(*codec.Stored).Base)
	for _, message := range []any{
		&codec.Read{Tag: 1}, &codec.Read{Tag: 2, Offset: 2, Bytes: 4 << 20}, &codec.Read{Offset: 3}, &codec.Read{Offset: 4}, &codec.Read{Bytes: 5},
		&codec.AskBounds{Tag: 3}, &codec.Await{Tag: 4, Offset: 1, Within: time.Minute}, &codec.Await{Offset: 9},
		&codec.AskTime{Tag: 5, At: 1500}, &codec.AskTime{At: 99_000}, &codec.AskTopic{Tag: 6},
		&codec.Store{Tag: 8, Batch: make(codec.Batch, 100)}, &codec.Store{Batch: make(codec.Batch, 2<<20)},
	} {
		got, err := p.ask(0, message).Result()
		require.NoError(t, err)
		require.Equal(t, here(0, message), got, "%T %+v", message, message)
	}
	require.Equal(t, here(5, &codec.AskBounds{}), answer[*codec.Bounds](t, p.ask(5, &codec.AskBounds{})), "no such partition")
	one, two := answer[*codec.ProducerID](t, p.ask(0, &codec.AskProducer{})), answer[*codec.ProducerID](t, p.ask(1, &codec.AskProducer{}))
	require.NotEqual(t, one.ID, two.ID)
	require.Equal(t, Status{Broker: "n1", Window: codec.Window{Calls: 1024, Bytes: 8 << 20}}, p.Status())

	// What a line would be closed for does not leave.
	require.ErrorIs(t, answer[*codec.Stored](t, p.ask(0, &codec.Store{Batch: codec.Batch("short")})).Err, codec.E(codec.CorruptBatch))
	require.ErrorIs(t, answer[*codec.Stored](t, p.ask(0, &codec.Store{Batch: make(codec.Batch, codec.CallBatchMax+1)})).Err, codec.E(codec.RecordTooLarge))
	require.NoError(t, answer[*codec.Bounds](t, p.ask(0, &codec.AskBounds{})).Err)
	require.Empty(t, b.link.Status().Refusals)
}

// An answer says which partition it is from, and an actor may have many under way.
func TestAnActorIsAnsweredInOrder(t *testing.T) {
	b := brokers(t, nil, "n1")["n1"]
	b.create(t, "bookings", 1, 1)
	p := attach(t, Config{Brokers: []string{b.address}})
	const messages = 2000
	got := make(chan *codec.Stored, messages)
	pid := p.Partition("bookings", 0)
	p.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			for i := range messages {
				c.Request(pid, &codec.Store{Tag: uint64(i), Batch: batchOf(t, fmt.Sprint(i))})
			}
		case *codec.Stored:
			if !c.Sender().Equal(pid) {
				t.Error("from ", c.Sender())
			}
			got <- m
		}
	}))
	for i := range messages {
		s := wait(t, got, "an answer")
		require.NoError(t, s.Err)
		require.Equal(t, uint64(i), s.Tag)
		require.Equal(t, codec.Offset(i), s.Base)
	}
}

// least is a window of few calls.
var least = codec.Window{Calls: 2, Bytes: 16 << 20}

// What the window does not let out waits, in order, and what is too much of that is
// refused at once; each answer lets one more out.
func TestTheWindowHoldsBack(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{s.address}, HeldMessages: 3})
	var asked []actor.Future
	for i := range 5 {
		asked = append(asked, p.ask(0, &codec.AskTime{Tag: uint64(i), At: codec.Millis(i)}))
		if i < least.Calls {
			require.Equal(t, int64(i), wait(t, s.calls, "a call").At)
		}
	}
	require.Equal(t, Status{Broker: "n1", UnderWay: 2, Held: 3, Bytes: 2 * (&codec.Call{Kind: codec.CallTime, TopicPartition: codec.TopicPartition{Topic: "bookings"}}).Cost(), Window: least}, p.Status())
	over := answer[*codec.Time](t, p.ask(0, &codec.AskTime{Tag: 9}))
	require.EqualError(t, over.Err, "OVERLOADED: 3 messages of 192 bytes wait for the broker's window, and at most 3 of 33554432 bytes may")
	require.Equal(t, uint64(9), over.Tag)
	for i := range asked {
		wait(t, s.replies, "a way back")(&codec.Reply{Offset: codec.Offset(i)})
		require.Equal(t, &codec.Time{Tag: uint64(i), Offset: codec.Offset(i)}, answer[*codec.Time](t, asked[i]))
		if next := i + least.Calls; next < len(asked) {
			require.Equal(t, int64(next), wait(t, s.calls, "a call").At)
		}
	}
	require.Equal(t, Status{Broker: "n1", Window: least}, p.Status())
	require.Empty(t, s.Status().Refusals)
}

// Bytes are held back as calls are: large reads go one after the other.
func TestTheWindowCountsWhatIsAskedFor(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", codec.Window{Calls: 100, Bytes: 9 << 20})
	p := attach(t, Config{Brokers: []string{s.address}})
	var asked []actor.Future
	for range 5 {
		asked = append(asked, p.ask(0, &codec.Read{Bytes: 4 << 20}))
	}
	for i := range asked {
		wait(t, s.calls, "a call")
		require.LessOrEqual(t, p.Status().Bytes, 9<<20)
		require.LessOrEqual(t, p.Status().UnderWay, 2)
		wait(t, s.replies, "a way back")(&codec.Reply{Batches: make([]byte, 4<<20)})
		require.Len(t, answer[*codec.Batches](t, asked[i]).Batches, 4<<20)
	}
	require.Empty(t, s.Status().Refusals)
}

// When a line is lost in the midst of messages each of them is answered for what it is
// known of it; what may wait goes to the next broker.
func TestALineIsLostInTheMidst(t *testing.T) {
	one, two := script(t, "n1", "127.0.0.1:0", least), script(t, "n2", "127.0.0.1:0", least)
	lines := make(chan net.Conn, 2)
	p := attach(t, Config{Brokers: []string{one.address, two.address}, Dial: func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		lines <- c
		return c, err
	}})
	under := p.ask(0, &codec.Store{Tag: 1, Batch: batchOf(t, "under way")})
	asking := p.ask(0, &codec.AskBounds{Tag: 2})
	wait(t, one.calls, "a call")
	wait(t, one.calls, "another")
	behind := p.ask(0, &codec.Store{Tag: 3, Batch: batchOf(t, "behind")})
	held := p.ask(0, &codec.AskTime{Tag: 4})
	require.Equal(t, 2, p.Status().Held)
	require.NoError(t, (<-lines).Close())

	unknown := answer[*codec.Stored](t, under)
	require.ErrorIs(t, unknown.Err, codec.E(codec.Unknown), "it may be stored")
	require.ErrorContains(t, unknown.Err, "the batch may or may not be stored")
	require.ErrorIs(t, answer[*codec.Bounds](t, asking).Err, codec.E(codec.Unavailable))
	require.ErrorIs(t, answer[*codec.Stored](t, behind).Err, codec.E(codec.Unavailable), "it never left")
	require.Equal(t, codec.CallTime, wait(t, two.calls, "the one that was held").Kind)
	wait(t, two.replies, "a way back")(&codec.Reply{Offset: 5, Found: true})
	require.Equal(t, &codec.Time{Tag: 4, Offset: 5, Found: true}, answer[*codec.Time](t, held))
	require.Equal(t, codec.NodeID("n2"), p.Status().Broker)
}

// A broker that shuts down as planned gives its answers first, and nothing is UNKNOWN:
// what waits goes to the next.
func TestAPlannedEnd(t *testing.T) {
	one, two := script(t, "n1", "127.0.0.1:0", least), script(t, "n2", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{one.address, two.address}})
	var asked []actor.Future
	for i := range 4 {
		asked = append(asked, p.ask(0, &codec.Store{Tag: uint64(i), Batch: batchOf(t, "x")}))
	}
	wait(t, one.calls, "a call")
	wait(t, one.calls, "another")
	one.LeaveServices()
	until(t, "the goodbye", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.leaving
	})
	_, err := Attach(t.Context(), p.system, Config{Name: "late", Brokers: []string{one.address}})
	require.ErrorIs(t, err, codec.E(codec.Stopping))
	for i := range 2 {
		wait(t, one.replies, "a way back")(&codec.Reply{Offset: codec.Offset(i)})
	}
	for i := range 2 {
		wait(t, two.replies, "a way back")(&codec.Reply{Offset: codec.Offset(2 + i)})
	}
	for i, f := range asked {
		s := answer[*codec.Stored](t, f)
		require.NoError(t, s.Err)
		require.Equal(t, codec.Offset(i), s.Base)
	}
	require.Empty(t, one.calls, "nothing more was sent to who leaves")
}

// While no broker answers, messages are refused with the reason; they go again when one is
// there.
func TestWithoutABroker(t *testing.T) {
	one := script(t, "n1", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{one.address}})
	one.Close()
	until(t, "the end of the line", func() bool { return p.Status().Trouble != nil })
	got := answer[*codec.Stored](t, p.ask(0, &codec.Store{Batch: batchOf(t, "x")}))
	require.ErrorIs(t, got.Err, codec.E(codec.Unavailable), "nothing was sent, so nothing is stored")
	require.ErrorContains(t, got.Err, "nobody listens there")
	again := script(t, "n1", one.address, least)
	until(t, "a line", func() bool { return p.Status().Broker == "n1" })
	asked := p.ask(0, &codec.AskBounds{})
	wait(t, again.replies, "a way back")(&codec.Reply{HighWatermark: 3})
	require.Equal(t, codec.Offset(3), answer[*codec.Bounds](t, asked).HighWatermark)
}

// Who may not attach is told why, and what to do.
func TestWhoMayNotAttach(t *testing.T) {
	issue, others := certificates(t), certificates(t)
	n1 := issue(codec.RoleBroker, "n1")
	secure := link.New(link.Config{Self: link.Self{Cluster: ours, Node: "n1"}, Listener: listen(t), TLS: n1})
	defer secure.Close()
	b := brokers(t, map[codec.NodeID]*trust.Credentials{"n1": n1}, "n1")["n1"]
	for name, c := range map[string]struct {
		config Config
		code   codec.Code
		says   string
	}{
		"no brokers":              {Config{Name: "billing"}, codec.InvalidArgument, "no broker is given"},
		"no name":                 {Config{Brokers: []string{b.address}}, codec.InvalidArgument, "name"},
		"a client's certificate":  {Config{Name: "ann", Brokers: []string{b.address}, TLS: issue(codec.RoleClient, "ann")}, codec.InvalidArgument, "--service"},
		"a broker's certificate":  {Config{Name: "n1", Brokers: []string{b.address}, TLS: n1}, codec.InvalidArgument, "--service"},
		"no TLS":                  {Config{Name: "billing", Brokers: []string{b.address}}, codec.AuthRequired, "TLS only"},
		"another's authority":     {Config{Name: "billing", Brokers: []string{b.address}, TLS: others(codec.RoleService, "billing")}, codec.Internal, "authority"},
		"nobody there":            {Config{Name: "billing", Brokers: []string{"127.0.0.1:1"}}, codec.Internal, "nobody listens there"},
		"the last of two matters": {Config{Name: "billing", Brokers: []string{"127.0.0.1:1", b.address}}, codec.AuthRequired, "attach to " + b.address},
	} {
		system := actor.NewActorSystem()
		_, err := Attach(t.Context(), system, c.config)
		require.ErrorContains(t, err, c.says, name)
		require.Equal(t, c.code, codec.CodeOf(err), name)
		system.Shutdown()
	}
}

// Nothing but messages to partitions leaves: stopping one does nothing, watching one lasts
// as long as the attachment, and what no partition takes is told to be dead.
func TestWhatDoesNotCross(t *testing.T) {
	s := script(t, "n1", "127.0.0.1:0", least)
	p := attach(t, Config{Brokers: []string{s.address}})
	root, pid := p.system.Root, p.Partition("bookings", 0)
	terminated := make(chan *actor.Terminated, 10)
	watching := make(chan struct{}, 10)
	watch := func(also func(actor.Context)) {
		root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				c.Watch(pid)
				also(c)
				watching <- struct{}{}
			case *actor.Terminated:
				terminated <- m
			}
		}))
		wait(t, watching, "an actor")
	}
	watch(func(actor.Context) {})
	watch(func(c actor.Context) { c.Unwatch(pid) })
	p.mu.Lock()
	watchers := len(p.watchers)
	p.mu.Unlock()
	require.Equal(t, 1, watchers, "who does not watch any more is not kept")
	root.Stop(pid)
	root.Poison(pid)
	root.Send(pid, "hello")
	_, err := root.RequestFuture(pid, "hello", within).Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
	_, err = root.RequestFuture(actor.NewPID(pid.Address, "no partition"), &codec.AskBounds{}, within).Result()
	require.ErrorIs(t, err, actor.ErrDeadLetter)
	asked := p.ask(0, &codec.AskBounds{})
	require.Equal(t, codec.CallBounds, wait(t, s.calls, "a call").Kind, "and nothing was sent before")
	wait(t, s.replies, "a way back")(&codec.Reply{})
	require.NoError(t, answer[*codec.Bounds](t, asked).Err)

	under := p.ask(0, &codec.Store{Batch: batchOf(t, "x")})
	wait(t, s.calls, "a call")
	require.Empty(t, terminated)
	p.Close()
	m := wait(t, terminated, "the end")
	require.True(t, m.Who.Equal(pid))
	require.Equal(t, actor.TerminatedReason_AddressTerminated, m.Why)
	require.ErrorIs(t, answer[*codec.Stored](t, under).Err, codec.E(codec.Unknown))
	require.ErrorIs(t, answer[*codec.Stored](t, p.ask(0, &codec.Store{Batch: batchOf(t, "x")})).Err, codec.E(codec.Stopping))
	watch(func(actor.Context) {})
	wait(t, terminated, "the end, at once")
	p.Close()
}
