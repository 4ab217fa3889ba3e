package actors

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// Broker is one node of Troupe inside this process. Any number of goroutines
// may use it.
type Broker struct {
	house     *house
	meta      *Handle
	published atomic.Pointer[cluster.State]
	table     atomic.Pointer[table]
	who       atomic.Pointer[identity]
	begun     atomic.Bool
	failed    atomic.Pointer[error]
	leaving   atomic.Bool
	ended     atomic.Bool
	end       func(context.Context) error // lets go of what Start took besides actors
}

// Launch starts a broker on the ports of cfg, all of which must be given, and
// calls started once: when all that lives in cfg.Dir is open, or with the
// reason why the broker cannot start. It waits for nothing. The caller holds
// the lock of the directory. Start is Launch in the real world.
func Launch(cfg Config, started func(error)) *Broker {
	b := &Broker{house: newHouse(cfg)}
	b.meta = newHandle(b.house, codec.TopicPartition{Topic: "__metadata"}, "metadata")
	b.table.Store(&table{})
	b.house.state, b.house.fail = b.published.Load, b.fail
	b.house.handles = func() map[codec.GroupID]*Handle { return b.table.Load().groups }
	b.house.system.ProcessRegistry.RegisterAddressResolver(b.resolve)
	k := &keeper{
		house: b.house, meta: b.meta, published: &b.published, table: &b.table, who: &b.who,
		run:  b.house.random()>>1 | 1,
		kept: make(map[codec.GroupID]*kept), burying: make(map[codec.ReplicaID]bool),
		started: func(err error) {
			if err != nil {
				b.failed.Store(&err)
			}
			b.begun.Store(err == nil)
			started(err)
		},
	}
	if _, err := b.house.system.Root.SpawnNamed(b.house.props(func() actor.Actor { return &controller{house: b.house} }), controllerName); err != nil {
		panic("actors: spawn controller: " + err.Error())
	}
	// The courier first: what the keeper asks for at once must find it.
	number := b.house.random()
	if _, err := b.house.system.Root.SpawnNamed(b.house.props(func() actor.Actor {
		return &courier{house: b.house, meta: b.meta, errands: make(map[uint64]*errand), asks: make(map[uint64]*errand), last: number}
	}), courierName); err != nil {
		panic("actors: spawn courier: " + err.Error())
	}
	if _, err := b.house.system.Root.SpawnNamed(b.house.props(func() actor.Actor { return k }, watched(&b.house.mail)), brokerName); err != nil {
		panic("actors: spawn broker: " + err.Error())
	}
	return b
}

// fail ends a broker that was running and cannot go on. It is said once; the program is
// to end then.
func (b *Broker) fail(err error) {
	if !b.failed.CompareAndSwap(nil, &err) {
		return
	}
	b.house.log.Error("the broker cannot go on", "error", err)
	b.Leave(func() {
		if b.house.cfg.Failed != nil {
			b.house.cfg.Failed(err)
		}
	})
}

// Leave closes all logs and calls done; from then on everything is refused.
func (b *Broker) Leave(done func()) {
	b.leaving.Store(true)
	b.house.toBroker(&leave{done: done})
}

// Ready says why the broker does not serve, or nil. It does when it has registered
// and its replica of the metadata serves, as a leader or beside one.
func (b *Broker) Ready() error {
	switch {
	case b.failed.Load() != nil:
		return *b.failed.Load()
	case b.leaving.Load():
		return codec.Errorf(codec.Stopping, "the broker is stopping")
	case !b.begun.Load():
		return codec.Errorf(codec.Unavailable, "the broker is starting")
	}
	if s := b.meta.state.Load(); s.write != nil && s.write.Code != codec.NotLeader {
		return s.write
	}
	return nil
}

// Identity is the cluster that this broker belongs to, and its own name. Both
// are empty before the broker has started.
func (b *Broker) Identity() (codec.UUID, codec.NodeID) {
	who := b.who.Load()
	if who == nil {
		return codec.UUID{}, ""
	}
	id, err := codec.ParseUUID(who.Cluster)
	if err != nil {
		panic("actors: stored cluster id does not hold: " + err.Error())
	}
	return id, codec.NodeID(who.Node)
}

// System is the actor system that the broker lives in, for programs that
// bring actors of their own.
func (b *Broker) System() *actor.ActorSystem { return b.house.system }

// Metadata is what the cluster consists of now: a value that never changes,
// nil before the broker has read it.
func (b *Broker) Metadata() *cluster.State { return b.published.Load() }

// Partition is the handle of a partition that lives on this broker. It asks
// no actor. The error is a *codec.Error: UnknownTopic or UnknownPartition.
func (b *Broker) Partition(tp codec.TopicPartition) (*Handle, error) {
	if h := b.table.Load().parts[tp]; h != nil {
		return h, nil
	}
	if b.leaving.Load() {
		return nil, codec.Errorf(codec.Stopping, "the broker is stopping")
	}
	p, _, err := b.place(tp)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.Replicas, func(r cluster.Replica) bool { return r.Node == b.house.node }) {
		lead := b.house.leaderOf(p.Group).node
		if lead == "" {
			lead = p.Replicas[0].Node
		}
		return nil, &codec.Error{Code: codec.NotLeader, Message: tp.String() + " has no replica here", Leader: b.house.addressOf(lead)}
	}
	return nil, unavailable(tp.String())
}

func unknownTopic(name codec.Topic) *codec.Error {
	return codec.Errorf(codec.UnknownTopic, "there is no topic %q: create it first", clip(string(name)))
}

// LeadsMetadata says whether the metadata group is led here.
func (b *Broker) LeadsMetadata() bool { return b.meta.state.Load().leader }

// Controller is the node that leads the metadata, as far as is known here; empty while
// nobody is known to.
func (b *Broker) Controller() codec.NodeID { return b.meta.state.Load().lead }

// InFlightBytes is the size of all batches that were let in and are not
// answered.
func (b *Broker) InFlightBytes() int64 { return b.house.credit.inFlight() }

// clip bounds what hostile input may put into a message.
func clip(s string) string {
	const bytesMax = 64
	if len(s) > bytesMax {
		return s[:bytesMax] + "…"
	}
	return s
}
