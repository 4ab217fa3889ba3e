package actors

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// Handle is a partition as a Go program holds it: where to send batches, and
// what may be read now. Any number of goroutines may use it, for as long as
// the broker runs; it stays good while the partition's actor restarts.
type Handle struct {
	house *house
	tp    codec.TopicPartition
	pid   atomic.Pointer[actor.PID] // nil until the partition's directory exists

	view  atomic.Pointer[wal.View]
	state atomic.Pointer[state]
	lives atomic.Int64
	set   atomic.Pointer[settings]

	members atomic.Pointer[members]
	inSync  atomic.Pointer[[]codec.NodeID] // as the leader sees it; nil elsewhere
	ticking atomic.Bool                    // a tick stands in the mailbox

	end     atomic.Int64         // behind the last record that this replica has, committed or not
	edge    atomic.Pointer[edge] // that was found last in this leadership
	seeking atomic.Bool          // it is being found

	here atomic.Int64 // batches that were let in here and are not answered

	closing atomic.Bool // a close was asked for; the actor may restart meanwhile

	produced, fetched tallied
	mail              atomic.Pointer[actor.Mailbox]
}

// members are a group's replicas as the metadata has them. It never changes
// once published.
type members struct {
	list   []cluster.Replica
	change uint64 // that is under way; 0 without one
}

// state is what a partition's actor tells the world. It never changes once
// published.
type state struct {
	open   bool
	leader bool
	term   codec.Term
	lead   codec.NodeID // where it is led; empty when nobody knows
	write  *codec.Error // why nothing can be written; nil when it can
	holds  bool         // that may be over in a moment: batches are let in, and wait
	read   *codec.Error // why nothing can be read; nil when it can
	sick   codec.Code   // what is the matter with this replica; OK when nothing is
	alone  codec.Millis // since when nobody is known to lead; 0 when somebody is
}

func newHandle(h *house, tp codec.TopicPartition, name string) *Handle {
	p := &Handle{house: h, tp: tp}
	p.set.Store(&settings{})
	p.publishState(state{write: unavailable(name), read: unavailable(name)})
	return p
}

// tell sends m to the partition's actor; refuse is called when there is none.
func (h *Handle) tell(m any, refuse func(error)) {
	pid := h.pid.Load()
	if pid == nil {
		refuse(unavailable(h.tp.String()))
		return
	}
	h.house.send(pid, m)
}

func (h *Handle) publishState(s state) { h.state.Store(&s) }

func (h *Handle) nextLife() int { return int(h.lives.Add(1)) }

// Name is the topic and the number of the partition.
func (h *Handle) Name() codec.TopicPartition { return h.tp }

// PID is the partition's actor, for programs that send messages themselves;
// nil while the partition is being made.
func (h *Handle) PID() *actor.PID { return h.pid.Load() }

// MessageBytesMax is the size of the largest batch that the topic takes.
func (h *Handle) MessageBytesMax() int { return h.set.Load().messageBytesMax }

// Produce checks b, takes credit for it (waiting until ctx ends) and hands it
// to the partition. reply is called exactly once, from any goroutine, and must
// not wait; b belongs to the partition until then, and its memory may be used
// again only when reply's error is nil. An error of Produce itself means that
// reply is not called and nothing was stored. Both errors are *codec.Error;
// of code Unknown when the batch may or may not be in the log.
func (h *Handle) Produce(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	if err := b.Verify(h.MessageBytesMax()); err != nil {
		return err
	}
	return h.ProduceVerified(ctx, b, reply)
}

// ProduceVerified is Produce for a batch that passed Verify already.
func (h *Handle) ProduceVerified(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) error {
	m, err := h.Message(ctx, b, reply)
	if err != nil {
		return err
	}
	h.tell(m, m.refuse)
	return nil
}

// Message makes the message that asks the partition to append b, which must
// have passed Verify, having taken credit for it. It is for programs that
// send it to PID themselves; they must send it.
func (h *Handle) Message(ctx context.Context, b codec.Batch, reply func(codec.Produced, error)) (*Produce, error) {
	if err := h.admits(b); err != nil {
		return nil, err
	}
	if err := h.house.credit.take(ctx, int64(len(b))); err != nil {
		return nil, err
	}
	h.here.Add(1)
	return &Produce{batch: b, reply: reply, paid: h.house.credit, of: h}, nil
}

// messageNow is Message that does not wait for credit.
func (h *Handle) messageNow(b codec.Batch, reply func(codec.Produced, error)) (*Produce, error) {
	if err := h.admits(b); err != nil {
		return nil, err
	}
	if err := h.house.credit.takeNow(int64(len(b))); err != nil {
		return nil, err
	}
	return &Produce{batch: b, reply: reply, paid: h.house.credit}, nil
}

// admits says why a batch cannot be let in.
func (h *Handle) admits(b codec.Batch) error {
	if max := h.MessageBytesMax(); len(b) > max {
		return codec.Errorf(codec.RecordTooLarge, "batch of %d bytes: %s takes at most %d (message.bytes.max)", len(b), h.tp.Topic, max)
	}
	if s := h.state.Load(); s.write != nil && !s.holds {
		return s.write
	}
	if h.house.short.Load() {
		return codec.Errorf(codec.DiskFull, "the disk has less than its reserve of %d bytes free: records are refused until there is room", h.house.reserve)
	}
	return nil
}

// Bounds are the first offset that can be read and the offset behind the last.
func (h *Handle) Bounds() (start, highWatermark codec.Offset, err error) {
	v, err := h.readable()
	if err != nil {
		return 0, 0, err
	}
	return v.Start(), v.HighWatermark(), nil
}

// readable is the view to read from now.
func (h *Handle) readable() (*wal.View, error) {
	s, v := h.state.Load(), h.view.Load()
	if s.read != nil {
		return nil, s.read
	}
	if v == nil {
		return nil, unavailable(h.tp.String())
	}
	return v, nil
}

// Read appends whole verified batches to dst, from the one that holds offset
// on: at most maxBytes, or the first alone when it is larger. At the high
// watermark it appends nothing. It asks no actor.
func (h *Handle) Read(dst []byte, offset codec.Offset, maxBytes int) ([]byte, error) {
	for {
		v, err := h.readable()
		if err != nil {
			return dst, err
		}
		if offset > v.HighWatermark() {
			if h.view.Load() != v {
				continue
			}
			if err := h.beyond(offset); err != nil {
				return dst, err
			}
		}
		out, err := v.Read(dst, offset, maxBytes)
		if errors.Is(err, wal.ErrGone) && h.view.Load() != v {
			continue
		}
		if err == nil {
			h.readBatches(out[len(dst):], offset)
		}
		return out, h.judge(err)
	}
}

// leaderlessFor is how long a reader waits at the end of a log that nobody leads.
const leaderlessFor = codec.Millis(5000)

// Cut says that nothing new can come, for this replica has known of no leader for a
// while: code Unavailable. Otherwise it is nil.
func (h *Handle) Cut() error {
	if s := h.state.Load(); s.alone != 0 && h.house.clock.Now()-s.alone > leaderlessFor {
		return codec.Errorf(codec.Unavailable, "%s has had no leader that is known here for %d s", h.tp, leaderlessFor/1000)
	}
	return nil
}

// leads says that this replica leads, for all that it knows, and that it knew what was
// committed when it began to.
func (h *Handle) leads() bool {
	s := h.state.Load()
	return s.open && s.leader
}

// awaits says that a batch may as well wait here for a leader, when lead is who leads as
// far as is known: nobody, or the replica here, which has just been elected.
func (h *Handle) awaits(lead codec.NodeID) bool { return lead == "" || lead == h.house.node }

// judge tells the partition of damage that a reader found, and makes err one
// that can cross a wire.
func (h *Handle) judge(err error) error {
	var coded *codec.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return coded
	case wal.IsCorrupt(err):
		h.tell(&damaged{err}, func(error) {})
		return h.elsewhere(codec.Errorf(codec.CorruptLog, "%s: %v", h.tp, err))
	case wal.IsExhausted(err):
		return codec.Errorf(codec.Overloaded, "%s: the broker has no file descriptors left (ulimit -n)", h.tp)
	case errors.Is(err, wal.ErrGone):
		return codec.Errorf(codec.Unavailable, "%s: %v", h.tp, err)
	default:
		return h.elsewhere(codec.Errorf(codec.DiskFailed, "%s: %v", h.tp, err))
	}
}

// elsewhere sends a client whom this replica cannot serve, for why, to another
// one, the leader if it was known last. Without another it is why.
func (h *Handle) elsewhere(why *codec.Error) *codec.Error {
	all := h.members.Load()
	if all == nil || h.house.link == nil {
		return why
	}
	node := h.state.Load().lead
	for i := 0; i < len(all.list) && (node == "" || node == h.house.node); i++ {
		node = all.list[i].Node
	}
	if node == "" || node == h.house.node {
		return why
	}
	e := codec.Errorf(codec.NotLeader, "%s; ask another replica, %s", why.Message, node)
	e.Leader = h.house.addressOf(node)
	return e
}

// OffsetForTime is the earliest readable offset whose record has a timestamp
// at or after t; found is false when there is none.
func (h *Handle) OffsetForTime(t codec.Millis) (offset codec.Offset, at codec.Millis, found bool, err error) {
	for {
		v, err := h.readable()
		if err != nil {
			return 0, 0, false, err
		}
		offset, at, found, err = v.OffsetForTime(t)
		if errors.Is(err, wal.ErrGone) && h.view.Load() != v {
			continue
		}
		return offset, at, found, h.judge(err)
	}
}

// Await calls done once: when the high watermark is above offset, when wait
// is over, or when there is nothing to wait for any more. cancel forgets it;
// done may still be called then.
func (h *Handle) Await(offset codec.Offset, wait time.Duration, done func()) (cancel func()) {
	if v, err := h.readable(); err != nil && codec.CodeOf(err) != codec.Unavailable || err == nil && v.HighWatermark() > offset {
		done()
		return func() {}
	}
	m := &await{offset: offset, wait: wait, done: done}
	h.tell(m, m.refuse)
	return func() { h.tell(&forget{m}, func(error) {}) }
}

// Trim moves the start of the partition to before, so that records below it
// can no longer be read; reply gets the new start.
func (h *Handle) Trim(before codec.Offset, reply func(start codec.Offset, err error)) {
	if s := h.state.Load(); s.write != nil {
		reply(0, s.write)
		return
	}
	m := &trim{before, reply}
	h.tell(m, m.refuse)
}

// Leads says whether the replica on this broker leads its group and serves, and
// the term that it knows of.
func (h *Handle) Leads() (bool, codec.Term) {
	s := h.state.Load()
	return s.open && s.leader, s.term
}
