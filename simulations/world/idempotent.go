package world

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// faithful is an idempotent producer: it sends each batch again until it knows
// that it is stored, and each is stored once, in order.
type faithful struct {
	c      *Cluster
	name   string
	chance *rand.Rand
	id     int64
	known  bool // id
	epoch  int16
	lanes  map[codec.TopicPartition]*faithfulLane
	order  []*faithfulLane
}

// faithfulLane is what it has on the way to one log.
type faithfulLane struct {
	of       *faithful
	log      codec.TopicPartition
	sequence int32
	waiting  []*faithfulBatch // without an answer that says it is stored, in order
	resting  bool             // a pause behind a refusal
	last     storedBatch      // the last that was stored
	zombie   storedBatch      // one of an older epoch, to be sent when a newer one is known
}

// storedBatch is one that is known to be stored.
type storedBatch struct {
	batch codec.Batch
	at    codec.Offset // its first record; nowhere when that was not said
}

// nowhere is no offset.
const nowhere = codec.Offset(-1)

type faithfulBatch struct {
	batch  codec.Batch
	at     []int // in the history
	flying bool
}

// faithfulInFlight is how many batches are on the way to one log: as many as a
// log remembers of each producer.
const faithfulInFlight = 5

func (c *Cluster) faithful(name string) {
	f := &faithful{c: c, name: name, chance: c.w.Rand(name), lanes: map[codec.TopicPartition]*faithfulLane{}}
	c.faithfuls = append(c.faithfuls, f)
	f.begin()
}

// begin gets an id, from whichever node gives one.
func (f *faithful) begin() {
	n := f.c.any()
	if f.known || n == nil {
		f.c.w.After(100*time.Millisecond, f.name, f.begin)
		return
	}
	over := false
	once := func(id int64, err error) {
		if over {
			return
		}
		over = true
		if err != nil {
			f.c.w.After(100*time.Millisecond, f.name, f.begin)
			return
		}
		if f.c.ids[id] {
			f.c.fail(fmt.Errorf("producer id %d was given twice", id))
		}
		f.c.ids[id] = true
		f.id, f.known = id, true
		f.live()
	}
	n.Life.OnKill(func() { once(0, errNobody) })
	paid := f.c.debts.owe(n, "the id of a producer")
	n.Broker.NewProducer(func(id int64, err error) {
		if paid() {
			once(id, err)
		}
	})
}

func (f *faithful) live() {
	f.c.w.After(time.Duration(1+f.chance.IntN(200))*time.Millisecond, f.name, func() {
		if f.c.calm {
			return
		}
		if f.idle() && f.chance.IntN(10) == 0 {
			f.renew()
		}
		for range 1 + f.chance.IntN(3) {
			f.put(f.c.logs[f.chance.IntN(len(f.c.logs))])
		}
		f.live()
	})
}

// renew begins another epoch, as a producer does that was started again. What
// is still on its way from the one before must not be stored any more.
func (f *faithful) renew() {
	f.epoch++
	for _, l := range f.order {
		l.sequence, l.zombie = 0, l.last
	}
}

// rise sends a batch of an older epoch again. It must not be stored once more. A leader that
// has been deposed, and knows nothing of the later epoch, may still say where it is; one that
// knows it cannot, for with the epoch it forgets the places of the batches before.
func (l *faithfulLane) rise() {
	z := l.zombie
	if z.batch == nil {
		return
	}
	l.zombie = storedBatch{}
	l.of.c.send(l.log, append(codec.Batch(nil), z.batch...), func(p codec.Produced, err error) {
		if err == nil && z.at != nowhere && p.Base != z.at {
			l.of.c.fail(fmt.Errorf("%s: a batch of epoch %d that is in %s at offset %d was stored at %d, behind one of a later epoch", l.of.name, z.batch.ProducerEpoch(), l.log, z.at, p.Base))
		}
	}, func() {})
}

// put makes one more batch for a log.
func (f *faithful) put(log codec.TopicPartition) {
	l := f.lanes[log]
	if l == nil {
		l = &faithfulLane{of: f, log: log}
		f.lanes[log] = l
		f.order = append(f.order, l)
	}
	if len(l.waiting) >= 2*faithfulInFlight {
		return
	}
	var b codec.Builder
	n := 1 + f.chance.IntN(4)
	at := f.c.story.records(&b, log, n)
	p, err := b.Build(codec.NoCompression)
	if err != nil {
		panic("world: build a batch: " + err.Error())
	}
	p = append(codec.Batch(nil), p...)
	p.SetProducer(f.id, f.epoch, l.sequence)
	for i, k := range at {
		one := &f.c.story.history.Produces[k]
		one.Producer, one.Sequence = f.name, int64(f.epoch)<<32+int64(l.sequence)+int64(i)
	}
	l.sequence += int32(n)
	l.waiting = append(l.waiting, &faithfulBatch{batch: p, at: at})
	l.pump()
}

// pump sends what is next: in order, and nothing while some of what was sent
// after a refusal is still on its way.
func (l *faithfulLane) pump() {
	if l.resting {
		return
	}
	for i, b := range l.waiting {
		if i == faithfulInFlight {
			return
		}
		if b.flying {
			continue
		}
		if i+1 < len(l.waiting) && l.waiting[i+1].flying {
			return
		}
		b.flying = true
		l.of.c.send(l.log, append(codec.Batch(nil), b.batch...), func(p codec.Produced, err error) { l.answered(b, p, err) }, func() {
			l.answered(b, codec.Produced{}, codec.E(codec.Unknown))
		})
	}
}

func (l *faithfulLane) answered(b *faithfulBatch, p codec.Produced, err error) {
	c := l.of.c
	b.flying = false
	switch code := codec.CodeOf(err); {
	case err == nil || code == codec.DuplicateSequence:
		// A log that has a later one has this one too, however long ago.
		c.story.told(b.at, p, nil)
		for _, k := range b.at {
			c.story.history.Produces[k].Somewhere = code == codec.DuplicateSequence
		}
		l.last = storedBatch{b.batch, p.Base}
		if code == codec.DuplicateSequence {
			l.last.at = nowhere
		}
		l.rise()
		for i, one := range l.waiting {
			if one == b {
				l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
				break
			}
		}
	case code == codec.Unknown || code.Retriable() || code == codec.DiskFailed:
		c.repeats++
		l.rest()
	case code == codec.SequenceGap && l.waiting[0] != b:
		l.rest() // one before it was not stored, and comes again first
	default:
		c.fail(fmt.Errorf("%s: batch of sequence %d to %s: %w", l.of.name, b.batch.BaseSequence(), l.log, err))
		l.resting = true // for good
	}
	l.pump()
}

func (l *faithfulLane) rest() {
	if l.resting {
		return
	}
	l.resting = true
	l.of.c.w.After(time.Duration(5+l.of.chance.IntN(100))*time.Millisecond, l.of.name, func() {
		l.resting = false
		l.pump()
	})
}

// idle says whether everything is stored.
func (f *faithful) idle() bool {
	for _, l := range f.order {
		if len(l.waiting) > 0 {
			return false
		}
	}
	return true
}
