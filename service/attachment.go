package service

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster/link"
	"github.com/troupe-mq/troupe/codec"
)

// Attachment is an actor system's way to a cluster. Any number of goroutines may use it.
type Attachment struct {
	config  Config
	system  *actor.ActorSystem
	life    uint64
	cluster codec.UUID
	address string // of all its PIDs

	ctx     context.Context // ends when Close begins
	stop    context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // has one when there may be something to send
	at      int           // of Brokers, whom to try next; the dialling goroutine's

	mu       sync.Mutex
	errands  errands
	broker   codec.NodeID // whom the line goes to; empty without one
	window   codec.Window // of it
	leaving  bool         // it is to end when no batch is under way on it
	trouble  *codec.Error // why there is none, after all brokers were tried; nil before
	closed   bool
	watchers map[watching]watcher
}

// Attach attaches system to the cluster that the first of the brokers to answer belongs
// to. It tries each once; the error is the last one's, a *codec.Error when that refused.
// A system is attached to a cluster once at a time. Until the first Attach of a system has
// returned nothing must be sent to PIDs that are not its own: its table of addresses has
// no lock.
func Attach(ctx context.Context, system *actor.ActorSystem, c Config) (*Attachment, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	a := &Attachment{config: c, system: system, life: 1 + rand.Uint64N(1<<63-1), wake: make(chan struct{}, 1), watchers: map[watching]watcher{}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	line, err := a.dial(ctx)
	if err != nil {
		a.stop()
		return nil, err
	}
	a.cluster = line.Peer().Cluster
	a.address = codec.PIDAddress(a.cluster)
	if err := waysOf(system).enter(a); err != nil {
		line.Close()
		a.stop()
		return nil, err
	}
	a.up(line)
	a.running.Go(func() { a.run(line) })
	return a, nil
}

// Partition is the PID of a partition, wherever that is led. It may be kept for as long
// as the attachment lives; the partition need not be there yet.
func (a *Attachment) Partition(topic codec.Topic, partition codec.Partition) *actor.PID {
	return actor.NewPID(a.address, codec.TopicPartition{Topic: topic, Partition: partition}.String())
}

// Cluster is the one that it is attached to.
func (a *Attachment) Cluster() codec.UUID { return a.cluster }

// Status is how an attachment is.
type Status struct {
	Broker   codec.NodeID // that the line goes to; empty without one
	Trouble  error        // why there is none, when every broker was tried
	UnderWay int          // messages that the broker has
	Held     int          // that wait for its window
	Bytes    int          // that those under way cost of it
	Window   codec.Window
}

// Status looks at it.
func (a *Attachment) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{Broker: a.broker, UnderWay: len(a.errands.open), Held: len(a.errands.held), Bytes: a.errands.openBytes, Window: a.window}
	if a.trouble != nil {
		s.Trouble = a.trouble
	}
	return s
}

// Close ends the attachment. What is under way is answered: with Unknown for what may
// have been stored, else with Stopping, as is everything that is sent to its PIDs from
// now on. Who watches one is told that it has ended.
func (a *Attachment) Close() {
	a.mu.Lock()
	first := !a.closed
	a.closed = true
	watchers := a.watchers
	a.watchers = nil
	a.mu.Unlock()
	a.stop()
	a.running.Wait()
	if !first {
		return
	}
	for _, w := range watchers {
		a.terminated(w)
	}
}

// errClosed is what is told of a closed attachment.
var errClosed = codec.Errorf(codec.Stopping, "the attachment was closed")

// up notes a line.
func (a *Attachment) up(line *link.Line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broker, a.window, a.leaving, a.trouble = line.Peer().Node, line.Window(), false, nil
}

// isClosed takes no lock: it is asked under that of ways, which is asked under a's.
func (a *Attachment) isClosed() bool { return a.ctx.Err() != nil }

func (a *Attachment) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
