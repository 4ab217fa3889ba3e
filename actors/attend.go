package actors

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// Serve does what a service asks of a partition, wherever that is led. It waits for
// byte credit, at most until ctx ends, and for nothing else. reply is called once, from
// any goroutine, and must not wait; forget, which may be nil, says that nobody wants
// the reply any more.
func (b *Broker) Serve(ctx context.Context, service string, c *codec.Call, reply func(*codec.Reply)) (forget func()) {
	a := &attending{broker: b, call: c, reply: reply, lane: attendLane(service)}
	if c.Kind == codec.CallProducer {
		b.NewProducer(func(id int64, err error) { a.answer(&codec.Reply{Offset: codec.Offset(id)}, err) })
		return nil
	}
	f, err := b.Far(c.TopicPartition)
	if err == nil && b.leaving.Load() {
		err = errStopping
	}
	if err != nil {
		a.answer(&codec.Reply{}, err)
		return nil
	}
	a.far = f
	switch c.Kind {
	case codec.CallProduce:
		a.produce(ctx)
	case codec.CallRead:
		return a.read()
	case codec.CallAwait:
		return a.await()
	case codec.CallBounds:
		return a.bounds()
	case codec.CallTime:
		return a.time()
	case codec.CallTopic:
		a.topic()
	}
	return nil
}

// attending is one call, and the way back of its reply.
type attending struct {
	broker *Broker
	far    *Far
	call   *codec.Call
	reply  func(*codec.Reply)
	lane   string
}

// attendLanes bounds the lanes for services: there may be any number of names.
const attendLanes = 16

// attendLane is where the disk is read for a service.
func attendLane(service string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(service)) // it never fails
	return "services " + strconv.Itoa(int(h.Sum32()%attendLanes))
}

func (a *attending) answer(r *codec.Reply, err error) {
	var coded *codec.Error
	switch {
	case errors.As(err, &coded):
		r.Fail(coded)
	case err != nil:
		r.Fail(codec.Errorf(codec.Internal, "%v", err))
	}
	a.reply(r)
}

func (a *attending) produce(ctx context.Context) {
	batch := a.call.Batch
	err := batch.Verify(a.far.MessageBytesMax())
	if err == nil {
		err = a.far.Produce(ctx, batch, func(p codec.Produced, err error) {
			a.answer(&codec.Reply{Offset: p.Base, AppendTime: p.AppendTime}, err)
		})
	}
	if err != nil {
		a.answer(&codec.Reply{}, err)
	}
}

// here says that the replica here answers what is asked about the end of the log.
func (a *attending) here() bool {
	return a.far.near != nil && (a.far.near.leads() || a.far.Alone())
}

// read reads beside the disk's other work.
func (a *attending) read() (forget func()) {
	h, at, most := a.far.near, codec.Offset(a.call.At), int(a.call.Bytes)
	if h == nil {
		return a.far.Ask(codec.LookRead, a.call.At, most, 0, func(s *codec.Sight, err error) {
			if err != nil {
				a.batches(nil, err)
				return
			}
			a.batches(s.Batches, nil)
		})
	}
	h.house.port.Lane(a.lane).Do(func() { a.batches(h.Read(nil, at, most)) })
	return nil
}

// batches answers with no more than was asked for, for more was not paid.
func (a *attending) batches(p []byte, err error) {
	if err == nil && len(p) > int(a.call.Bytes) {
		err = codec.Errorf(codec.RecordTooLarge, "the batch at offset %d has %d bytes, and %d were asked for", a.call.At, len(p), a.call.Bytes)
	}
	if err != nil {
		p = nil
	}
	a.answer(&codec.Reply{Batches: p}, err)
}

func (a *attending) await() (forget func()) {
	within := min(time.Duration(a.call.Within)*time.Millisecond, codec.AwaitMax)
	h := a.far.near
	if h == nil {
		return a.far.Ask(codec.LookAwait, a.call.At, 0, within, a.seen)
	}
	return h.Await(codec.Offset(a.call.At), within, func() {
		start, watermark, err := h.Bounds()
		if err == nil {
			err = h.Cut()
		}
		a.answer(&codec.Reply{Start: start, HighWatermark: watermark}, err)
	})
}

func (a *attending) bounds() (forget func()) {
	if !a.here() {
		return a.far.Ask(codec.LookBounds, 0, 0, 0, a.seen)
	}
	start, watermark, err := a.far.near.Bounds()
	a.answer(&codec.Reply{Start: start, HighWatermark: watermark}, err)
	return nil
}

// seen answers with what another broker has seen.
func (a *attending) seen(s *codec.Sight, err error) {
	if err != nil {
		s = &codec.Sight{}
	}
	a.answer(&codec.Reply{Start: s.Start, HighWatermark: s.HighWatermark, Offset: s.Offset, Found: s.Found}, err)
}

func (a *attending) time() (forget func()) {
	at := codec.Millis(a.call.At)
	if !a.here() {
		return a.far.Ask(codec.LookTime, int64(at), 0, 0, a.seen)
	}
	h := a.far.near
	h.house.port.Lane(a.lane).Do(func() {
		offset, _, found, err := h.OffsetForTime(at)
		a.answer(&codec.Reply{Offset: offset, Found: found}, err)
	})
	return nil
}

func (a *attending) topic() {
	d, err := a.broker.Topic(a.call.Topic)
	a.answer(&codec.Reply{Partitions: uint32(len(d.Partitions)), BytesMax: uint32(a.far.MessageBytesMax())}, err)
}
