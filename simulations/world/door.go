package world

import (
	"context"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// door is the body of one simulated connection on the broker's side: what
// gateway does with sockets and goroutines is done here in steps, with the
// same mind and at the same interface of the broker.
type door struct {
	o      *OneNode
	key    string // of its lane
	life   *Life
	opened time.Duration
	mind   *session.Session
	send   func(what string, f func()) // to the client, in order
	shut   bool

	inbox   []arrival // came, and not yet taken for want of room
	pushing bool      // a step that pushes is posted
}

// arrival is one frame of the client.
type arrival struct {
	size int
	do   func(size int)
}

// doorLimits are small, so that they are met.
var doorLimits = session.Limits{InFlight: 4, BytesInFlight: 64 << 10, Subscriptions: 3, Heartbeat: 2 * time.Second}.WithDefaults()

func (d *door) up() bool { return !d.shut && !d.life.Dead() }

func (d *door) now() time.Duration { return d.o.w.Elapsed() - d.opened }

// arrive takes a frame, or keeps it until there is room.
func (d *door) arrive(size int, do func(size int)) {
	d.inbox = append(d.inbox, arrival{size, do})
	d.read()
}

func (d *door) read() {
	for d.up() && len(d.inbox) > 0 && d.mind.Room(d.inbox[0].size) {
		a := d.inbox[0]
		d.inbox = d.inbox[1:]
		d.mind.Take(a.size)
		a.do(a.size)
	}
}

// answer lets the answer to a request of size bytes leave.
func (d *door) answer(what string, size int, f func()) {
	d.send(what, f)
	d.mind.Release(1, size)
	d.read()
}

// produced is a PRODUCE on its way: what the client is told when it leaves.
type produced struct {
	turn session.Turn
	size int
	tell func()
}

// produce hands a batch over; its answer takes its turn.
func (d *door) produce(size int, log codec.TopicPartition, b codec.Batch, tell func(codec.Produced, error)) {
	p := &produced{size: size}
	p.turn.Owner = p
	d.mind.Open(&p.turn, log)
	settle := func(a codec.Produced, err error) {
		if !d.up() {
			return
		}
		p.tell = func() { tell(a, err) }
		// All that may leave has left before room is given to what comes: a
		// produce that is refused at once would overtake the rest.
		for t := d.mind.Settle(&p.turn); t != nil; {
			one := t.Owner.(*produced)
			t = t.Next()
			d.send("answer to a produce", one.tell)
			d.mind.Release(1, one.size)
		}
		d.read()
	}
	h, err := d.o.handle(log)
	if err == nil {
		err = b.Verify(h.MessageBytesMax())
	}
	if err == nil {
		err = h.ProduceVerified(context.Background(), b, settle)
	}
	if err != nil {
		settle(codec.Produced{}, err)
	}
}

// feed is a subscription on the broker's side.
type feed struct {
	from    *actors.Handle
	push    func(p []byte)              // to the client: data
	idle    func(next codec.Offset)     // to the client: nothing new
	ended   func(error)                 // to the client: the last push
	subject func(*session.Subscription) // to the client: the answer to SUBSCRIBE
}

// subscribe opens a subscription; refuse is what the client is told otherwise.
func (d *door) subscribe(size int, q codec.Subscribe, f *feed, refuse func(error)) {
	h, err := d.o.handle(q.TopicPartition)
	var sub *session.Subscription
	if err == nil {
		sub, err = d.mind.Subscribe(&q)
	}
	if err == nil {
		_, _, err = h.Bounds()
	}
	if err != nil {
		if sub != nil {
			d.mind.End(sub)
		}
		d.answer("refusal", size, func() { refuse(err) })
		return
	}
	f.from, sub.Owner = h, f
	d.mind.Told(sub)
	d.answer("answer to SUBSCRIBE", size, func() { f.subject(sub) })
	d.mind.Begin(sub, d.now())
	d.push()
}

// push makes the next push a step of its own, as the writer's turns are.
func (d *door) push() {
	if d.pushing || !d.mind.MayPush() {
		return
	}
	d.pushing = true
	d.o.w.Post(d.key, "push", func() {
		d.pushing = false
		if d.up() {
			if unlessHung(d.turn) {
				d.shut = true // its writer is lost to the disk
			}
			d.push()
		}
	})
}

// turn is the turn of one subscription.
func (d *door) turn() {
	sub := d.mind.NextPush()
	if sub == nil {
		return
	}
	f := sub.Owner.(*feed)
	_, high, err := f.from.Bounds()
	if err == nil && sub.Next == high {
		d.wait(sub, f, high)
		return
	}
	var p []byte
	if err == nil {
		p, err = f.from.Read(nil, sub.Next, sub.Bytes())
	}
	if err != nil {
		if d.mind.End(sub) {
			d.send("end of a subscription", func() { f.ended(err) })
		}
		return
	}
	d.send("push", func() { f.push(p) })
	d.mind.Pushed(sub, len(p), behind(p, sub.Next), d.now())
}

// wait waits at the end of the log.
func (d *door) wait(sub *session.Subscription, f *feed, high codec.Offset) {
	wait, idle, ok := d.mind.Wait(sub, d.now())
	if !ok {
		return
	}
	if idle {
		d.send("idle push", func() { f.idle(high) })
	}
	f.from.Await(high, wait, func() {
		if d.up() && d.mind.Wake(sub) {
			d.push()
		}
	})
}

// behind is the offset behind the last of the batches p.
func behind(p []byte, offset codec.Offset) codec.Offset {
	for len(p) > 0 {
		b, rest, err := codec.NextBatch(p)
		if err != nil {
			panic("world: a read gave what are no batches: " + err.Error())
		}
		offset, p = b.BaseOffset()+codec.Offset(b.Count()), rest
	}
	return offset
}
