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
	burying   map[codec.ReplicaID]bool // whose data is being removed, or was
	enlisting bool
	knocking  bool // it will ask to be registered, unless it hears more by then
	producers producerIDs
	// registered says that the metadata knows of this start of this broker.
	registered bool
	epoch      uint64 // of the registration
	run        uint64 // tells this process from others of its node
	unled      int64  // the tick since which the start waits for leaders alone; 0 before
	ticks      int64
	leaving    []func() // called when every replica is closed
	left       bool     // they were
}

// table is the published way from names to partitions. It never changes.
type table struct {
	parts  map[codec.TopicPartition]*Handle
	groups map[codec.GroupID]*Handle
	fars   map[codec.TopicPartition]*Far // of those that have a replica here
}

// kept is one replica that lives here.
type kept struct {
	handle *Handle
	seat   seat
	phase  phase
	err    error // of the last report
	steps  int   // of raft's time that it is still to be given
	// healing is the replica that is to be replaced because it is damaged.
	healing codec.ReplicaID
}

// phase is how far a replica has come.
type phase int

const (
	preparing    phase = iota // its directory is being made
	initializing              // metadata is being told that the directory exists
	opening
	open
	leavingForGood
	replaced // it has ended, and another one takes its place
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
	case lonely:
		k.lonely()
	case *disowned:
		k.disowned(m)
	case metadataChanged:
		k.fenced()
		k.enlist()
		k.reconcile()
	case knock:
		k.knock()
	case ticking:
		k.tick()
	case *enlisted:
		k.enlisted(m)
	case *newProducer:
		k.newProducer(m)
	case *allocated:
		k.allocated(m)
	case *prepared:
		k.prepared(m)
	case *initialized:
		k.initialized(m)
	case *unmade:
		k.unmade(m)
	case *buried:
		k.buried(m)
	case *gone:
		k.lost(m)
	case *whenOpen:
		k.whenOpen(m)
	case *passed:
		m.done()
	case *removeAgain:
		if k.leaving == nil {
			k.remove(m.group, m.replica)
		}
	case *prepareAgain:
		k.prepareAgain(m)
	case *replaceDue:
		k.replaceDue(m)
	case *entombed:
		k.entombed(m)
	case *superseded:
		k.superseded(m)
	case *dismiss:
		k.ctx.Poison(m.pid)
	case beat:
		k.beat()
	case *measured:
		k.measured(m)
	case *handAll:
		k.handAll(m)
	case *leave:
		k.leave(m)
	case allClosed:
		k.gone()
	}
}

func (k *keeper) post(m any) { k.house.send(k.self, m) }

// lost tells all that have to do with a broker that it has ended.
func (k *keeper) lost(m *gone) {
	if k.house.link == nil {
		return
	}
	k.house.send(k.house.courier, m)
	k.house.send(k.house.herald, m)
	k.house.send(k.house.ferry, m)
	for _, g := range k.order {
		k.kept[g].handle.tell(m, func(error) {})
	}
}

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
	id, err := codec.ParseUUID(m.id.Cluster)
	if err != nil {
		panic("actors: stored cluster id does not hold: " + err.Error())
	}
	disk, err := codec.ParseUUID(m.id.Disk)
	if err != nil {
		panic("actors: stored disk id does not hold: " + err.Error())
	}
	k.house.cluster, k.house.node, k.house.disk = id, codec.NodeID(m.id.Node), disk
	if k.house.link != nil {
		k.house.openRoads()
	}
	k.who.Store(&m.id)
	me, all := m.id.metadataReplica(), members{list: m.id.founders()}
	s := seat{
		group: codec.MetadataGroup, id: me, name: "metadata", members: all.list,
		dir: replicaDir(k.house.cfg.Dir, codec.MetadataGroup, me), joins: m.id.joined(),
		machine: func() machine {
			return &metadata{house: k.house, state: cluster.NewState(), published: k.published}
		},
	}
	k.meta.members.Store(&all)
	k.spawn(&kept{handle: k.meta, seat: s, phase: opening}, "metadata")
	k.table.Store(&table{groups: map[codec.GroupID]*Handle{codec.MetadataGroup: k.meta}})
	k.beat()
	k.tickLater()
	k.lonelyLater()
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
	if t == nil || t.seat.id != m.replica || t.phase > open {
		return
	}
	t.phase, t.err = open, m.err
	k.heal(t)
	if m.group == codec.MetadataGroup {
		if c := codec.CodeOf(m.err); c == codec.DiskFull || c == codec.Overloaded {
			k.reconcile() // what was committed can be read; it opens by itself when there is room
			return
		}
		if m.err != nil {
			k.start(fmt.Errorf("metadata: %w", m.err))
			return
		}
		k.enlist()
		k.reconcile()
		return
	}
	k.tellWaiting()
}

// start reports once that the broker has started, or why it has not.
func (k *keeper) start(err error) {
	if k.started != nil {
		done := k.started
		k.started = nil
		done(err)
	}
}
