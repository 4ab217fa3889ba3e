package world

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// visitor is a client that comes through the door: it produces and subscribes
// under the rules of a session, and checks that they are kept.
type visitor struct {
	o      *OneNode
	name   string
	chance *rand.Rand
	visits int
	visit  *visit // nil while it is not connected
}

// visit is one connection of a visitor.
type visit struct {
	v       *visitor
	name    string
	door    *door
	there   time.Duration // when what was sent last arrives, each way
	back    time.Duration
	sent    map[codec.TopicPartition][]uint64 // produces without an answer, in order
	follows map[uint32]*follow
}

// follow is a subscription as its client sees it.
type follow struct {
	visit    *visit
	log      codec.TopicPartition
	session  string // in the history
	id       uint32
	next     codec.Offset
	granted  int64 // bytes, in all
	received int64
	over     bool // unsubscribed, or ended
	asked    bool // to be unsubscribed
}

// visitors is how many there are in each run.
const visitors = 2

func (o *OneNode) visitor(i int) {
	name := fmt.Sprintf("visitor %d", i)
	v := &visitor{o: o, name: name, chance: o.w.Rand(name)}
	o.visitors = append(o.visitors, v)
	v.live()
}

// live does something now and then, until the scenario is calm.
func (v *visitor) live() {
	v.o.w.After(time.Duration(1+v.chance.IntN(200))*time.Millisecond, v.name, func() {
		if v.o.calm {
			return
		}
		v.act()
		v.live()
	})
}

func (v *visitor) act() {
	if c := v.visit; c != nil && !c.door.up() {
		c.lost()
	}
	if v.visit == nil {
		v.connect()
		return
	}
	c := v.visit
	log := v.o.logs[v.chance.IntN(len(v.o.logs))]
	switch n := v.chance.IntN(40); {
	case n < 20:
		for range 1 + v.chance.IntN(4) {
			c.produce(log, 1+v.chance.IntN(4))
		}
	case n < 32:
		c.subscribe(log, v.somewhere(log), int64(v.chance.IntN(20<<10)))
	case n < 38:
		c.unsubscribe()
	default:
		c.lost() // it hangs up
	}
}

// somewhere is an offset of a log to begin at: often near its end.
func (v *visitor) somewhere(log codec.TopicPartition) codec.Offset {
	h, err := v.o.handle(log)
	if err != nil {
		return 0
	}
	start, high, err := h.Bounds()
	if err != nil {
		return 0
	}
	from := start
	if v.chance.IntN(3) > 0 {
		from = max(start, high-20)
	}
	return from + codec.Offset(v.chance.Int64N(int64(high-from)+1))
}

// connect comes through the door and says HELLO.
func (v *visitor) connect() {
	if v.o.node.Broker == nil {
		return
	}
	v.visits++
	c := &visit{v: v, name: fmt.Sprintf("%s.%d", v.name, v.visits), sent: map[codec.TopicPartition][]uint64{}, follows: map[uint32]*follow{}}
	c.door = &door{o: v.o, key: "door " + c.name, life: v.o.node.Life, opened: v.o.w.Elapsed(), mind: session.New(doorLimits), send: c.toClient}
	err := c.door.mind.Admit(&codec.Envelope{Kind: codec.KindRequest, ID: 1, Op: codec.OpHello})
	if err == nil {
		_, err = c.door.mind.Hello(&codec.Hello{ProtocolMin: 1, ProtocolMax: 1, Features: []string{codec.FeatureSubscribe}})
	}
	v.o.fail(err)
	v.visit = c
}

// travel is when something that is sent now arrives: behind what was sent
// before.
func (c *visit) travel(last *time.Duration) time.Duration {
	now := c.v.o.w.Elapsed()
	*last = max(*last, now+time.Duration(c.v.chance.IntN(2000))*time.Microsecond)
	return *last - now
}

// toDoor sends a frame of size bytes.
func (c *visit) toDoor(what string, size int, do func(size int)) {
	c.v.o.w.After(c.travel(&c.there), c.name+" "+what, func() {
		if c.door.up() {
			c.door.arrive(size, do)
		}
	})
}

// toClient is what the door sends.
func (c *visit) toClient(what string, f func()) {
	c.v.o.w.After(c.travel(&c.back), c.name+" "+what, func() {
		if c.v.visit == c && !c.door.life.Dead() {
			f()
		}
	})
}

// lost is the end of a connection: what has no answer may have been done.
func (c *visit) lost() {
	c.door.shut = true
	c.door.mind.EndAll()
	c.v.visit = nil
	for _, log := range c.v.o.logs {
		for _, id := range c.sent[log] {
			c.v.o.unknown(id)
		}
	}
}

// produce sends a batch through the session.
func (c *visit) produce(log codec.TopicPartition, n int) {
	o := c.v.o
	id, batch := o.batch(log, n)
	c.sent[log] = append(c.sent[log], id)
	if c.v.chance.IntN(8) == 0 {
		batch[len(batch)-1] ^= 1 // refused at the door, while others before it are on their way
	}
	c.toDoor("produce", len(batch), func(size int) {
		c.door.produce(size, log, batch, func(p codec.Produced, err error) {
			if waiting := c.sent[log]; len(waiting) == 0 || waiting[0] != id {
				o.fail(fmt.Errorf("%s: the answer to the produce of token %d to %s came out of turn: %v wait", c.name, id, log, waiting))
			}
			c.sent[log] = slices.DeleteFunc(c.sent[log], func(one uint64) bool { return one == id })
			o.stats.Visits.Answers++
			o.answered(id, p, err)
		})
	})
}

// subscribe opens a subscription; what it is pushed goes into the history.
func (c *visit) subscribe(log codec.TopicPartition, from codec.Offset, credit int64) *follow {
	o := c.v.o
	f := &follow{visit: c, log: log, session: o.story.newSession("subscription"), next: from, granted: credit}
	q := codec.Subscribe{TopicPartition: log, Offset: from, Credit: credit}
	c.toDoor("SUBSCRIBE", 30, func(size int) {
		c.door.subscribe(size, q, &feed{push: f.push, idle: f.idle, ended: f.ended, subject: f.begun}, f.ended)
	})
	return f
}

func (f *follow) begun(sub *session.Subscription) {
	f.id = sub.ID
	f.visit.follows[f.id] = f
	if f.granted == 0 {
		f.grant(1 + f.visit.v.chance.Int64N(5<<10))
	}
}

// unsubscribe ends the oldest subscription.
func (c *visit) unsubscribe() {
	for _, id := range slices.Sorted(maps.Keys(c.follows)) {
		f := c.follows[id]
		if f.asked || f.over {
			continue
		}
		f.asked = true
		c.toDoor("UNSUBSCRIBE", 10, func(size int) {
			_, err := c.door.mind.Unsubscribe(&codec.Unsubscribe{Subscription: id})
			c.v.o.fail(err)
			c.door.answer("answer to UNSUBSCRIBE", size, f.forget)
		})
		return
	}
}

func (f *follow) forget() {
	f.over = true
	delete(f.visit.follows, f.id)
}

// push is a push of data as it arrives.
func (f *follow) push(p []byte) {
	o := f.visit.v.o
	open := f.granted - f.received
	first, rest, err := codec.NextBatch(p)
	switch {
	case err != nil:
		o.fail(fmt.Errorf("%s was pushed what is no batch: %w", f.session, err))
		return
	case f.over:
		o.fail(fmt.Errorf("%s was pushed something behind its end", f.session))
	case open <= 0:
		o.fail(fmt.Errorf("%s was pushed %d bytes without credit: %d were granted, %d had come", f.session, len(p), f.granted, f.received))
	case len(rest) > 0 && int64(len(p)) > open:
		o.fail(fmt.Errorf("%s was pushed %d bytes of several batches with %d of credit", f.session, len(p), open))
	}
	f.received += int64(len(p))
	f.contiguous(first, p)
	next, err := o.took(f.log, f.session, o.story.moment(), f.next, p)
	o.fail(err)
	f.next = next
	o.stats.Visits.Pushes++
	f.process(int64(len(p)))
}

// contiguous checks that the batches of p follow on each other and on what
// came before.
func (f *follow) contiguous(first codec.Batch, p []byte) {
	expect := f.next
	if first.BaseOffset() < expect && first.BaseOffset()+codec.Offset(first.Count()) > expect {
		expect = first.BaseOffset() // it begins before the offset that was asked for
	}
	for len(p) > 0 {
		b, rest, err := codec.NextBatch(p)
		if err != nil || b.BaseOffset() != expect {
			f.visit.v.o.fail(errors.Join(err, fmt.Errorf("%s of %s was pushed offset %d where %d belongs", f.session, f.log, b.BaseOffset(), expect)))
			return
		}
		expect, p = b.BaseOffset()+codec.Offset(b.Count()), rest
	}
}

// process grants what came anew, a while later; now and then more.
func (f *follow) process(bytes int64) {
	v := f.visit.v
	v.o.w.After(time.Duration(v.chance.IntN(300))*time.Millisecond, f.visit.name+" processes", func() {
		if v.visit == f.visit && !f.over {
			f.grant(bytes + int64(v.chance.IntN(2)*v.chance.IntN(3000)))
		}
	})
}

// grant sends a CREDIT. It counts from when it was sent.
func (f *follow) grant(bytes int64) {
	f.granted += bytes
	d := f.visit.door
	f.visit.toDoor("CREDIT", 12, func(size int) {
		if d.mind.Grant(&codec.Credit{Subscription: f.id, Bytes: bytes}) {
			d.push()
		}
		d.mind.Release(1, size)
	})
}

func (f *follow) idle(next codec.Offset) {
	f.visit.v.o.stats.Visits.Idle++
	if next != f.next {
		f.visit.v.o.fail(fmt.Errorf("%s at %d heard that %d comes next", f.session, f.next, next))
	}
}

// ended is the last push, or the refusal of the subscription.
func (f *follow) ended(why error) {
	o := f.visit.v.o
	o.stats.Visits.Ends++
	if c := codec.CodeOf(why); c == codec.CorruptLog || c == codec.Internal {
		o.fail(fmt.Errorf("%s of %s ended: %w", f.session, f.log, why))
	}
	f.forget()
}

// followToTheEnd has one more visitor read every log by subscriptions alone,
// with little credit, when the faults are over, and wait for one record more.
func (o *OneNode) followToTheEnd() error {
	v := &visitor{o: o, name: "last visitor", chance: o.w.Rand("last visitor")}
	for _, log := range o.logs {
		h, err := o.handle(log)
		if err != nil {
			return err
		}
		start, high, err := h.Bounds()
		if err != nil {
			return err
		}
		v.connect()
		f := v.visit.subscribe(log, start, 1)
		if err := o.w.Run(func() bool { return f.next >= high || f.over || o.broken != nil }, oneNodeSettles); err != nil {
			return fmt.Errorf("%s does not get to the end of %s: it is at %d of %d: %w", f.session, log, f.next, high, err)
		}
		acked := o.story.acked
		o.produce(log, 1)
		if err := o.w.Run(func() bool { return o.story.acked > acked && f.next > high || f.over || o.broken != nil }, oneNodeSettles); err != nil {
			return fmt.Errorf("%s is not pushed what comes to the end of %s: %w", f.session, log, err)
		}
		if f.over {
			return fmt.Errorf("%s of %s ended at %d of %d", f.session, log, f.next, high)
		}
	}
	return nil
}
