package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/check"
)

// OneNode is the scenario of one broker under load whose process is killed,
// whose machine loses power, and whose disk fails, fills up and hangs. At the
// end the faults stop, the broker starts again, and everything is read.
type OneNode struct {
	w      *World
	node   *Node
	chance *rand.Rand
	topics []codec.Topic
	logs   []codec.TopicPartition

	visitors []*visitor

	story  *story
	sent   map[uint64][]int // not answered, by its first token: where its records stand in the history
	stats  Stats
	calm   bool  // no more faults
	broken error // what no check of histories can see
}

// Stats counts what a run saw, so that a suite can tell that it is not blind.
type Stats struct {
	Steps      uint64
	Virtual    time.Duration
	Acked      int
	Unknown    int
	Failed     int
	Read       int
	Kills      int
	Faults     map[string]int // disk faults that were laid, by kind
	Refusals   map[codec.Code]int
	Trims      int
	Visits     Visits
	Hash       string
	Violations []check.Violation
}

// Visits counts what clients saw who came through the door.
type Visits struct {
	Answers int // to produces
	Pushes  int // of data
	Idle    int // pushes that said that there is nothing new
	Ends    int // subscriptions that were refused or ended by the broker
}

const (
	oneNodeLasts    = 25 * time.Second // of virtual time under faults
	oneNodeSettles  = 120 * time.Second
	oneNodeProducer = 3
	oneNodeReaders  = 2
	readAtOnce      = 40 // records, about
)

// RunOneNode plays the scenario of seed. trace, when given, gets a line a
// step. The error is a violation of what no history shows: a broker that does
// not start again, a livelock, damage where there was none.
func RunOneNode(seed uint64, trace io.Writer) (stats Stats, err error) {
	w := New(seed, 1_700_000_000_000)
	defer w.Close()
	if trace != nil {
		w.TraceTo(trace)
	}
	n, err := w.Node("n1")
	if err != nil {
		return stats, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	o := &OneNode{w: w, node: n, story: newStory(w, "scenario"), sent: map[uint64][]int{}}
	o.chance = o.story.chance
	o.stats.Faults, o.stats.Refusals = map[string]int{}, map[codec.Code]int{}
	err = o.run()
	o.stats.Steps, o.stats.Virtual, o.stats.Hash = w.Steps(), w.Elapsed(), w.Hash()
	o.stats.Acked, o.stats.Unknown, o.stats.Failed, o.stats.Read = o.story.acked, o.story.unknown, o.story.failed, o.story.read
	if err != nil {
		return o.stats, fmt.Errorf("seed %d: %w", seed, err)
	}
	o.story.history.Complete = true
	o.stats.Violations = check.Check(o.story.history)
	return o.stats, nil
}

func (o *OneNode) run() error {
	o.node.Start()
	if err := o.w.Run(func() bool { s, err := o.node.Started(); return s || err != nil }, time.Minute); err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	if err := o.createTopics(); err != nil {
		return err
	}
	for i := range oneNodeProducer {
		o.producer(fmt.Sprintf("producer %d", i))
	}
	for i := range oneNodeReaders {
		o.reader(fmt.Sprintf("reader %d", i))
	}
	for i := range visitors {
		o.visitor(i)
	}
	o.nemesis()
	if err := o.w.RunFor(oneNodeLasts); err != nil {
		return err
	}
	return o.settle()
}

func (o *OneNode) createTopics() error {
	for i := range 1 + o.chance.IntN(2) {
		name := codec.Topic(fmt.Sprintf("t%d", i))
		var got error
		done := false
		o.node.Broker.CreateTopic(codec.CreateTopic{Topic: name, Partitions: 1 + o.chance.Int32N(2), Settings: map[string]string{"segment.bytes": "1MiB"}},
			func(d codec.TopicDescription, err error) {
				got, done = err, true
				for _, p := range d.Partitions {
					o.logs = append(o.logs, codec.TopicPartition{Topic: name, Partition: p.Partition})
				}
			})
		if err := o.w.Run(func() bool { return done }, time.Minute); err != nil || got != nil {
			return errors.Join(fmt.Errorf("create topic %s", name), err, got)
		}
		o.topics = append(o.topics, name)
	}
	return nil
}

// producer sends a batch now and then, whatever becomes of those before.
func (o *OneNode) producer(name string) {
	pause := time.Duration(1+o.chance.IntN(250)) * time.Millisecond
	o.w.After(pause, name, func() {
		if o.calm {
			return
		}
		o.produce(o.logs[o.chance.IntN(len(o.logs))], 1+o.chance.IntN(5))
		o.producer(name)
	})
}

// produce sends one batch of n records.
func (o *OneNode) produce(log codec.TopicPartition, n int) {
	id, batch := o.batch(log, n)
	o.send(log, batch, func(p codec.Produced, err error) { o.answered(id, p, err) })
}

// batch makes a batch of n records, each with a token of its own, that is
// about to be sent.
func (o *OneNode) batch(log codec.TopicPartition, n int) (id uint64, _ codec.Batch) {
	var b codec.Builder
	id = o.story.token + 1
	o.sent[id] = o.story.records(&b, log, n)
	batch, err := b.Build(codec.NoCompression)
	if err != nil {
		panic("world: build a batch: " + err.Error())
	}
	return id, append(codec.Batch(nil), batch...)
}

// unknown is a batch whose answer nobody will hear.
func (o *OneNode) unknown(id uint64) {
	o.story.forgotten(o.sent[id])
	delete(o.sent, id)
}

func (o *OneNode) send(log codec.TopicPartition, b codec.Batch, reply func(codec.Produced, error)) {
	h, err := o.handle(log)
	if err == nil {
		err = h.Produce(context.Background(), b, reply)
	}
	if err != nil {
		reply(codec.Produced{}, err)
	}
}

var errDown = codec.Errorf(codec.Unavailable, "the broker is down")

func (o *OneNode) handle(log codec.TopicPartition) (*actors.Handle, error) {
	if o.node.Broker == nil {
		return nil, errDown
	}
	return o.node.Broker.Partition(log)
}

// answered notes the outcome of a batch.
func (o *OneNode) answered(id uint64, p codec.Produced, err error) {
	at := o.sent[id]
	if at == nil {
		o.broken = errors.Join(o.broken, fmt.Errorf("the batch of token %d was answered twice", id))
		return
	}
	delete(o.sent, id)
	code := codec.CodeOf(err)
	o.stats.Refusals[code]++
	if code == codec.CorruptLog || code == codec.Internal {
		o.broken = errors.Join(o.broken, fmt.Errorf("produce was refused: %w", err))
	}
	o.story.told(at, p, err)
}

// reader reads one log from a random place on, again and again.
func (o *OneNode) reader(name string) {
	o.w.After(time.Duration(1+o.chance.IntN(400))*time.Millisecond, name, func() {
		if o.calm {
			return
		}
		log := o.logs[o.chance.IntN(len(o.logs))]
		if h, err := o.handle(log); err == nil {
			if start, watermark, err := h.Bounds(); err == nil && watermark > start {
				from := start + codec.Offset(o.chance.Int64N(int64(watermark-start)))
				limit := min(watermark, from+readAtOnce)
				unlessHung(func() { _ = o.read(log, from, limit) })
			}
		}
		o.reader(name)
	})
}

// read reads [from, limit) of a log as one session, until something stops it.
func (o *OneNode) read(log codec.TopicPartition, from, limit codec.Offset) error {
	session := o.story.newSession("session")
	for from < limit {
		h, err := o.handle(log)
		if err != nil {
			return err
		}
		call := o.story.moment()
		p, err := h.Read(nil, from, 1+o.chance.IntN(30<<10))
		if err != nil {
			if c := codec.CodeOf(err); c == codec.CorruptLog || c == codec.Internal {
				o.broken = errors.Join(o.broken, fmt.Errorf("read of %s at %d: %w", log, from, err))
			}
			return err
		}
		next, err := o.took(log, session, call, from, p)
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// took notes the records of the batches p from offset from on.
func (o *OneNode) took(log codec.TopicPartition, session string, call int64, from codec.Offset, p []byte) (next codec.Offset, err error) {
	if len(p) == 0 {
		return from, fmt.Errorf("read of %s at %d gave nothing below the watermark", log, from)
	}
	return o.story.took(log, session, call, from, p)
}

// settle ends the faults, starts the broker once more and reads everything.
func (o *OneNode) settle() error {
	o.calm = true
	o.node.Disk.Inject(nil)
	o.node.Disk.OnCall(nil)
	o.node.Disk.SetCapacity(0)
	if err := o.restart(o.anyMode()); err != nil {
		return err
	}
	for _, log := range o.logs {
		before := o.story.acked
		if err := o.w.Run(func() bool {
			if len(o.sent) == 0 && o.story.acked == before {
				o.produce(log, 1)
			}
			return o.story.acked > before
		}, oneNodeSettles); err != nil {
			return errors.Join(fmt.Errorf("%s does not serve again: %w", log, err), o.broken)
		}
		h, err := o.handle(log)
		if err != nil {
			return err
		}
		start, watermark, err := h.Bounds()
		if err != nil {
			return err
		}
		o.story.history.Start[log] = start
		if err := o.read(log, start, watermark); err != nil {
			return fmt.Errorf("last read of %s: %w", log, err)
		}
	}
	if err := o.followToTheEnd(); err != nil {
		return errors.Join(err, o.broken)
	}
	return o.broken
}

// restart crashes what runs and waits until a new life has started.
func (o *OneNode) restart(m Mode) error {
	if err := o.crash(m); err != nil {
		return err
	}
	o.node.Start()
	err := o.w.Run(func() bool { s, err := o.node.Started(); return s || err != nil }, oneNodeSettles)
	if _, failure := o.node.Started(); err != nil || failure != nil {
		return errors.Join(fmt.Errorf("the broker does not start again"), err, failure, o.node.state())
	}
	return nil
}

// crash kills the process; m says what becomes of its disk.
func (o *OneNode) crash(m Mode) error {
	o.stats.Kills++
	o.node.Kill()
	for _, v := range o.visitors {
		if v.visit != nil {
			v.visit.lost()
		}
	}
	for id := range o.sent {
		o.unknown(id)
	}
	return o.node.Disk.Crash(m, o.chance)
}

// anyMode is what a crash does: the process alone, or the machine.
func (o *OneNode) anyMode() Mode {
	modes := []Mode{Kept, Kept, Any, Lost, Torn, Zeroed}
	return modes[o.chance.IntN(len(modes))]
}

// state is what the directory holds, for a report.
func (n *Node) state() error {
	list, err := n.Disk.Mount().ReadDir(filepath.Join(n.Disk.Root(), "data"))
	return errors.Join(fmt.Errorf("the data directory holds %v", list), err)
}
