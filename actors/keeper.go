package actors

import (
	"fmt"
	"path/filepath"
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

// Messages to the keeper.
type (
	settled struct {
		id  identity
		err error
	}
	// ready tells that a replica serves, or why it does not.
	ready struct {
		group codec.GroupID
		err   error
	}
	prepared struct {
		group codec.GroupID
		err   error
	}
	buried struct {
		group codec.GroupID
		err   error
	}
	initialized struct {
		groups []codec.GroupID
		err    error
	}
	founded struct{ err error }
	// whenOpen asks to be told when every partition of a topic has reported.
	whenOpen struct {
		topic codec.Topic
		done  func(error)
	}
	leave struct{ done func() }
	// allClosed says that the last replica was closed.
	allClosed struct{}
	// passed calls done when the keeper has dealt with all that came before.
	passed struct{ done func() }
	// prepareAgain comes some time after there was no room for a replica.
	prepareAgain struct{ group codec.GroupID }
	// dismiss ends the actor of a replica that was buried.
	dismiss  struct{ pid *actor.PID }
	beat     struct{}
	measured struct {
		free int64
		err  error
	}
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
	props := k.house.props(func() actor.Actor { return &Partition{house: k.house, seat: s.with(handle), pub: handle} })
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

// whenOpen keeps m until its topic has reported.
func (k *keeper) whenOpen(m *whenOpen) {
	if k.leaving != nil {
		m.done(errStopping)
		return
	}
	k.waiting = append(k.waiting, m)
	k.tellWaiting()
}

var errStopping = codec.Errorf(codec.Stopping, "the broker is stopping")

// tellWaiting answers those whose topics have reported in full, and the start.
func (k *keeper) tellWaiting() {
	keep := k.waiting[:0]
	for _, w := range k.waiting {
		if done, err := k.topicOpen(w.topic); done {
			w.done(err)
			continue
		}
		keep = append(keep, w)
	}
	clear(k.waiting[len(keep):])
	k.waiting = keep
	if k.started != nil && k.allOpen() {
		k.start(nil)
	}
}

// topicOpen says whether each partition of a topic that lives here has
// reported, and the first trouble among them.
func (k *keeper) topicOpen(name codec.Topic) (done bool, err error) {
	s := k.published.Load()
	if s == nil {
		return false, nil
	}
	topic, ok := s.Topics[name]
	if !ok {
		return true, unknownTopic(name)
	}
	for _, p := range topic.Partitions {
		t := k.kept[p.Group]
		if t == nil || t.phase < open {
			return false, nil
		}
		if err == nil {
			err = t.err
		}
	}
	return true, err
}

// metadataServes says whether the published metadata is all of it: before its
// replica leads, entries that were acknowledged may not be applied yet.
func (k *keeper) metadataServes() bool {
	t := k.kept[codec.MetadataGroup]
	if t == nil || t.phase != open {
		return false
	}
	// Without room it still shows what was committed, and opens by itself.
	c := codec.CodeOf(t.err)
	return t.err == nil || (c == codec.DiskFull || c == codec.Overloaded) && k.published.Load() != nil
}

func (k *keeper) allOpen() bool {
	s := k.published.Load()
	if s == nil || s.Cluster == (codec.UUID{}) || !k.metadataServes() {
		return false
	}
	for name := range s.Topics {
		if done, _ := k.topicOpen(name); !done {
			return false
		}
	}
	return true
}

// beat measures the room on the disk.
func (k *keeper) beat() {
	if k.leaving != nil {
		return
	}
	h := k.house
	h.port.Lane(filepath.Join(h.cfg.Dir, "room")).Do(func() {
		free, err := h.fs.Free(h.cfg.Dir)
		k.post(&measured{free, err})
	})
}

func (k *keeper) measured(m *measured) {
	short := m.err == nil && m.free < k.house.reserve
	if k.house.short.Swap(short) != short {
		k.house.log.Warn("room on the disk changed", "free", m.free, "reserve", k.house.reserve, "refusing", short)
	}
	k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(beat{}) })
}

// leave closes every replica. All who ask for it are told when it is done.
func (k *keeper) leave(m *leave) {
	k.leaving = append(k.leaving, m.done)
	if len(k.leaving) > 1 {
		if k.left {
			m.done()
		}
		return
	}
	for _, w := range k.waiting {
		w.done(errStopping)
	}
	k.waiting = nil
	if len(k.order) == 0 {
		k.gone()
		return
	}
	var open atomic.Int64
	open.Store(int64(len(k.order)))
	one := func() {
		if open.Add(-1) == 0 {
			k.post(allClosed{})
		}
	}
	for _, g := range k.order {
		k.kept[g].handle.tell(&closing{done: one}, func(error) { one() })
	}
}

// gone tells those who asked that every replica is closed.
func (k *keeper) gone() {
	k.left = true
	for _, done := range k.leaving {
		done()
	}
}
