package actors

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// keeper is the root actor of a broker: it keeps the replicas that metadata
// places here. What it sees is only ever "look again": it compares the
// published metadata with what it keeps, and makes up the difference.
type keeper struct {
	house *house
	self  *actor.PID
	ctx   actor.Context

	id        identity
	who       *atomic.Pointer[identity] // id, published
	meta      *Handle
	published *atomic.Pointer[cluster.State]
	table     *atomic.Pointer[table]
	started   func(error) // called once: all is open, or why not
	kept      map[codec.GroupID]*kept
	order     []codec.GroupID // of kept, as they came
	waiting   []*whenOpen
	founding  bool
	leaving   []func() // called when every replica is closed
	left      bool     // they were
}

// table is the published way from names to partitions. It never changes.
type table struct {
	parts map[codec.TopicPartition]*Handle
}

// kept is one replica that lives here.
type kept struct {
	handle *Handle
	seat   seat
	phase  phase
	err    error // of the last report
}

// phase is how far a replica has come.
type phase int

const (
	preparing    phase = iota // its directory is being made
	initializing              // metadata is being told that the directory exists
	opening
	open
	leavingForGood
)

// Receive names what happens to a broker as a whole.
func (k *keeper) Receive(c actor.Context) {
	k.ctx = c
	switch m := c.Message().(type) {
	case *actor.Started:
		k.self = c.Self()
		k.settle()
	case *settled:
		k.settled(m)
	case *ready:
		k.ready(m)
	case metadataChanged:
		k.reconcile()
	case *prepared:
		k.prepared(m)
	case *initialized:
		k.initialized(m)
	case *buried:
		k.buried(m)
	case *founded:
		k.founded(m)
	case *whenOpen:
		k.whenOpen(m)
	case *passed:
		m.done()
	case *prepareAgain:
		k.prepareAgain(m)
	case *dismiss:
		k.ctx.Poison(m.pid)
	case beat:
		k.beat()
	case *measured:
		k.measured(m)
	case *leave:
		k.leave(m)
	case allClosed:
		k.gone()
	}
}

func (k *keeper) post(m any) { k.house.send(k.self, m) }

// settle finds out on the disk who this broker is.
func (k *keeper) settle() {
	uuid, disk := k.house.newUUID(), k.house.newUUID()
	h := k.house
	h.port.Lane(h.cfg.Dir).Do(func() {
		id, err := settle(h.fs, h.cfg, uuid, disk)
		k.post(&settled{id, err})
	})
}

// settled opens the metadata.
func (k *keeper) settled(m *settled) {
	if m.err != nil {
		k.start(m.err)
		return
	}
	if k.leaving != nil {
		return
	}
	k.id = m.id
	k.who.Store(&m.id)
	s := seat{
		group: codec.MetadataGroup, id: founder, name: "metadata",
		dir: replicaDir(k.house.cfg.Dir, codec.MetadataGroup, founder),
		machine: func() machine {
			return &metadata{house: k.house, state: cluster.NewState(), published: k.published}
		},
	}
	k.spawn(&kept{handle: k.meta, seat: s, phase: opening}, "metadata")
	k.beat()
}

// spawn starts the body of a replica.
func (k *keeper) spawn(t *kept, name string) {
	s, handle := t.seat, t.handle
	props := k.house.props(func() actor.Actor { return &Partition{house: k.house, seat: s.with(handle), pub: handle} }, handle.mailbox())
	pid, err := k.ctx.SpawnNamed(props, name)
	if err != nil {
		panic(fmt.Sprintf("actors: spawn %s: %v", name, err))
	}
	t.handle.pid.Store(pid)
	if _, known := k.kept[t.seat.group]; !known {
		k.order = append(k.order, t.seat.group)
	}
	k.kept[t.seat.group] = t
}

// ready notes what a replica says of itself.
func (k *keeper) ready(m *ready) {
	t := k.kept[m.group]
	if t == nil {
		return
	}
	t.phase, t.err = open, m.err
	if m.group == codec.MetadataGroup {
		if c := codec.CodeOf(m.err); c == codec.DiskFull || c == codec.Overloaded {
			k.reconcile() // what was committed can be read; it opens by itself when there is room
			return
		}
		if m.err != nil {
			k.start(fmt.Errorf("metadata: %w", m.err))
			return
		}
		k.found()
		k.reconcile()
		return
	}
	k.tellWaiting()
}

// found writes the cluster's first entry, once.
func (k *keeper) found() {
	if s := k.published.Load(); k.founding || s != nil && s.Cluster != (codec.UUID{}) {
		return
	}
	k.founding = true
	id, err := codec.ParseUUID(k.id.Cluster)
	if err != nil {
		panic("actors: stored cluster id does not hold: " + err.Error())
	}
	k.house.decide(k.meta, cluster.FoundCluster{Cluster: id, Node: codec.NodeID(k.id.Node)}, func(_ cluster.Result, err error) {
		k.post(&founded{err})
	})
}

func (k *keeper) founded(m *founded) {
	k.founding = false
	if m.err != nil {
		k.start(fmt.Errorf("found a cluster: %w", m.err))
	}
}

// start reports once that the broker has started, or why it has not.
func (k *keeper) start(err error) {
	if k.started != nil {
		done := k.started
		k.started = nil
		done(err)
	}
}
