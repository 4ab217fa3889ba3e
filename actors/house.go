package actors

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// house is what all bodies of one broker share: the ports, and the actor
// system they live in.
type house struct {
	cfg        Config
	clock      Clock
	chance     io.Reader
	fs         wal.FS
	port       *wal.Port
	log        *slog.Logger
	system     *actor.ActorSystem
	broker     *actor.PID
	courier    *actor.PID
	controller *actor.PID
	herald     *actor.PID
	ferry      *actor.PID
	drummer    *actor.PID
	link       Link       // nil without one
	cluster    codec.UUID // this, the node and the disk are set before the first replica is opened
	node       codec.NodeID
	disk       codec.UUID
	fail       func(error)           // ends the broker: it cannot go on
	state      func() *cluster.State // as published; nil before there is one
	handles    func() map[codec.GroupID]*Handle
	leads      atomic.Pointer[map[codec.GroupID]lead] // as other brokers say
	away       [4096]atomic.Int64                     // by group: batches that the ferry, or another broker, has
	credit     *credit
	reserve    int64       // bytes of disk that are kept free
	short      atomic.Bool // less than the reserve is free
	tallies    tallies
	silent     atomic.Pointer[[]codec.NodeID] // whom the metadata's leader does not hear; nil elsewhere
	handed     atomic.Int64                   // when leadership was last handed back
	warned     atomic.Int64                   // when it was last said that letters are refused, ms
	mail       atomic.Pointer[actor.Mailbox]  // the keeper's
}

// brokerName is the id of the root actor.
const brokerName = "broker"

// controllerName is the id of the actor that looks after the cluster.
const controllerName = "controller"

// courierName is the id of the actor that asks other brokers.
const courierName = "courier"

// awayOf counts the batches of a group, and of few others, that were sent on and are not
// answered. It is there before a replica of the group comes here, and after it: what it
// takes must not overtake them.
func (h *house) awayOf(g codec.GroupID) *atomic.Int64 { return &h.away[uint64(g)%uint64(len(h.away))] }

// newHouse builds the actor system. It reads no disk.
func newHouse(cfg Config) *house {
	if cfg.InFlightBytes <= 0 {
		cfg.InFlightBytes = inFlightBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &house{
		cfg: cfg, clock: cfg.Ports.Clock, chance: cfg.Ports.Chance, fs: cfg.Ports.FS, port: wal.NewPort(cfg.Ports.Run),
		state: func() *cluster.State { return nil }, handles: func() map[codec.GroupID]*Handle { return nil }, link: cfg.Ports.Link, log: cfg.Log, credit: newCredit(cfg.InFlightBytes, cfg.Ports.Clock), reserve: reserveBytes,
	}
	if fs, ok := cfg.Ports.FS.(countedFS); ok {
		h.tallies.disk = fs.tally
	}
	h.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(quieter{cfg.Log.Handler()}) }))
	h.system.EventStream.Subscribe(h.deadLetter)
	h.broker = actor.NewPID(h.system.Address(), brokerName)
	h.controller = actor.NewPID(h.system.Address(), controllerName)
	h.courier = actor.NewPID(h.system.Address(), courierName)
	h.herald = actor.NewPID(h.system.Address(), heraldName)
	h.ferry = actor.NewPID(h.system.Address(), ferryName)
	h.drummer = actor.NewPID(h.system.Address(), drummerName)
	return h
}

// props makes the Props of every actor here: with the ports' dispatcher and
// mailbox, which win over more, and a supervisor that restarts children from
// disk.
func (h *house) props(produce func() actor.Actor, more ...actor.PropsOption) *actor.Props {
	options := append(more, actor.WithSupervisor(&supervisor{house: h, fails: make(map[string]failures)}))
	options = append(options, h.cfg.Ports.Props...)
	return actor.PropsFromProducer(produce, options...)
}

func (h *house) send(to *actor.PID, m any) { h.system.Root.Send(to, m) }

func (h *house) toBroker(m any) { h.send(h.broker, m) }

// addressOf is where clients reach a broker; its name when it has not said.
func (h *house) addressOf(node codec.NodeID) string {
	if s := h.state(); s != nil && s.Nodes[node].Address != "" {
		return s.Nodes[node].Address
	}
	return string(node)
}

// deadLetter answers requests that reached an actor which has ended.
func (h *house) deadLetter(event any) {
	d, ok := event.(*actor.DeadLetterEvent)
	if !ok {
		return
	}
	switch m := d.Message.(type) {
	case request:
		m.refuse(codec.Errorf(codec.Unavailable, "%s has ended", d.PID.GetId()))
	case *closing:
		m.done()
	}
}

// within is any time up to d.
func (h *house) within(d time.Duration) time.Duration { return h.jitter(5*d) - 5*d }

// jitter is d and up to a fifth of it more, so that what many actors do from
// time to time is not done all at once.
func (h *house) jitter(d time.Duration) time.Duration {
	var p [4]byte
	if _, err := io.ReadFull(h.chance, p[:]); err != nil {
		panic(fmt.Sprintf("actors: no randomness: %v", err))
	}
	return d + time.Duration(int64(binary.BigEndian.Uint32(p[:]))%(int64(d)/5+1))
}

// random is any number.
func (h *house) random() uint64 {
	var p [8]byte
	if _, err := io.ReadFull(h.chance, p[:]); err != nil {
		panic(fmt.Sprintf("actors: no randomness: %v", err))
	}
	return binary.BigEndian.Uint64(p[:])
}

// newUUID is a random one, version 4.
func (h *house) newUUID() codec.UUID {
	var u codec.UUID
	if _, err := io.ReadFull(h.chance, u[:]); err != nil {
		panic(fmt.Sprintf("actors: no randomness: %v", err))
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

// raftLog passes on what raft has to say. Its notices of role changes are
// many and its own; only what it finds odd is told by default.
type raftLog struct {
	to   *slog.Logger
	name string
}

func (l raftLog) Debugf(string, ...any) {}

func (l raftLog) Infof(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

func (l raftLog) Warnf(format string, args ...any) { l.say(slog.LevelWarn, format, args) }

func (l raftLog) Errorf(format string, args ...any) { l.say(slog.LevelError, format, args) }

func (l raftLog) say(level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.to.Enabled(ctx, level) {
		l.to.Log(ctx, level, fmt.Sprintf(format, args...), "partition", l.name)
	}
}
