package gateway

import (
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/session"
)

// feed carries a subscription out, on the writer's goroutine.
type feed struct {
	vigil   // at the end of the log
	reading // what it pushes
	request request
	sub     *session.Subscription
	topic   *topicCounts
}

func (c *conn) subscribe(r request, e *codec.Envelope) error {
	var q codec.Subscribe
	if err := e.Decode(&q); err != nil {
		return err
	}
	from, err := c.partition(q.TopicPartition, read)
	if err != nil {
		return err
	}
	f := &feed{reading: reading{from: from}, request: r, topic: c.server.counts.topic(nil, q.Topic)}
	f.conn, f.over = c, f.woken
	c.mu.Lock()
	if !c.draining {
		f.sub, err = c.session.Subscribe(&q)
	} else {
		err = codec.Errorf(codec.Stopping, "the connection takes no more requests")
	}
	c.mu.Unlock()
	if err != nil {
		if codec.CodeOf(err) == codec.TooManySubscriptions {
			c.server.counts.hit(hitSubscriptions)
		}
		return err
	}
	f.sub.Owner = f
	c.answer(answer{request: r, maker: f, begins: f.sub})
	return nil
}

// make makes the answer to SUBSCRIBE. The subscription begins when it has
// left.
func (f *feed) make(head []byte) (made, bool) {
	q := codec.Subscribed{Subscription: f.sub.ID}
	var err error
	q.Start, q.HighWatermark, err = f.from.Bounds()
	if err == nil && (f.sub.Next < q.Start || f.sub.Next > q.HighWatermark) {
		_, err = f.from.Read(nil, f.sub.Next, 1) // it knows what is wrong with the offset
	}
	c := f.conn
	c.mu.Lock()
	if err != nil {
		c.session.End(f.sub)
	} else if !c.session.Told(f.sub) {
		err = codec.Errorf(codec.Stopping, "the subscription ended before it began")
	}
	c.mu.Unlock()
	return made{frame: c.response(head, f.request, &q, err)}, true
}

func (c *conn) unsubscribe(r request, e *codec.Envelope) error {
	var q codec.Unsubscribe
	if err := e.Decode(&q); err != nil {
		return err
	}
	c.mu.Lock()
	sub, err := c.session.Unsubscribe(&q)
	c.mu.Unlock()
	if sub != nil {
		c.leave(&sub.Owner.(*feed).vigil)
	}
	if err == nil {
		c.reply(r, codec.Empty{}, nil) // behind the push that is being made, if one is
	}
	return err
}

// grant carries out a CREDIT. An error ends the connection, for a one-way has
// no answer.
func (c *conn) grant(e *codec.Envelope) error {
	var q codec.Credit
	if err := e.Decode(&q); err != nil {
		return err
	}
	c.mu.Lock()
	if c.session.Grant(&q) {
		c.hasWork.Signal()
	}
	c.mu.Unlock()
	return nil
}

// woken lets a subscription look again.
func (f *feed) woken() {
	f.conn.mu.Lock()
	if f.conn.session.Wake(f.sub) {
		f.conn.hasWork.Signal()
	}
	f.conn.mu.Unlock()
}

// push carries out the turn of one subscription, if one may push; false when
// the connection ended.
func (c *conn) push(out *outgoing) bool {
	c.mu.Lock()
	sub := c.session.NextPush()
	if sub == nil {
		c.mu.Unlock()
		return true
	}
	f := sub.Owner.(*feed)
	r := &f.reading
	*r = reading{from: r.from, offset: sub.Next, next: sub.Next, mode: sub.Mode, openMax: c.server.limits.FrameMax,
		most: min(sub.Bytes(), c.session.FrameMax()-answerHead)}
	c.mu.Unlock()
	_, high, err := r.from.Bounds()
	if err == nil && r.offset == high {
		if err = cut(r.from); err == nil {
			return f.idle(out, high)
		}
	}
	held := 0
	if err == nil {
		var ok bool
		if held, ok = c.afford(out, c.readCost(r.from, r.most, r.mode)); !ok {
			return false
		}
		err = r.read()
	}
	return f.pushRead(out, held, err)
}

// pushRead pushes what was read, or ends the subscription because of err.
func (f *feed) pushRead(out *outgoing, held int, err error) bool {
	c, r := f.conn, &f.reading
	if err == nil {
		err = r.decode()
	}
	var frame codec.Frame
	if err == nil {
		if r.mode == codec.FetchRecords {
			r.answer.RecordsBytes = max(1, bytesOf(r.answer.Records))
		}
		frame = codec.EncodePush(out.head[:0], f.sub.ID, codec.PushData, &r.answer)
		err = c.fits(frame, r)
	}
	if err != nil {
		r.drop()
		c.server.answers.give(held)
		return f.end(out, err)
	}
	f.topic.fetched(r.records, r.stored())
	c.server.counts.pushes.Add(1)
	ok := c.sendHeld(out, answer{frame: frame, push: true}, made{frame, r.scratch}, held)
	c.mu.Lock()
	c.session.Pushed(f.sub, r.answer.Bytes(), r.next, c.now())
	c.mu.Unlock()
	return ok
}

// idle waits at the end of the log, and now and then says that it does.
func (f *feed) idle(out *outgoing, high codec.Offset) bool {
	c := f.conn
	c.mu.Lock()
	wait, tell, ok := c.session.Wait(f.sub, c.now())
	c.mu.Unlock()
	if ok && tell {
		out.add(answer{frame: codec.EncodePush(nil, f.sub.ID, codec.PushIdle, &codec.Idle{Next: high, HighWatermark: high}), push: true})
		ok = c.flush(out)
		if !ok {
			return false
		}
	}
	if ok {
		f.await(f.from, high, wait)
	}
	return true
}

// end ends the subscription and tells the client why.
func (f *feed) end(out *outgoing, why error) bool {
	c := f.conn
	c.mu.Lock()
	ends := c.session.End(f.sub)
	c.mu.Unlock()
	if !ends {
		return true
	}
	c.server.counts.refused(codec.OpSubscribe, codec.CodeOf(why))
	out.add(answer{frame: codec.EncodeEnd(nil, f.sub.ID, why), push: true})
	return c.flush(out)
}

// bytesOf is what records count against credit.
func bytesOf(records []codec.Record) int {
	n := 0
	for i := range records {
		n += codec.RecordBytesMax(records[i].Key, records[i].Value, records[i].Headers)
	}
	return n
}
