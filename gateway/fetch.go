package gateway

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// answerHead is more than a fetch's answer takes around its payload.
const answerHead = 1 << 10

// poll is one fetch. While it waits at the tail it is in conn.polls.
type poll struct {
	conn     *conn
	request  request
	fetch    codec.Fetch
	from     Partition
	deadline time.Time
	waiting  bool   // below conn.mu
	round    int    // below conn.mu, how often it waited
	cancel   func() // below conn.mu, nil until this round's Await returned
}

func (c *conn) fetch(r request, e codec.Envelope) error {
	p := &poll{conn: c, request: r}
	err := e.Decode(&p.fetch)
	if err != nil {
		return err
	}
	if p.from, err = c.server.broker.Partition(p.fetch.TopicPartition); err != nil {
		return err
	}
	wait := min(time.Duration(p.fetch.MaxWait)*time.Millisecond, c.server.limits.FetchWait)
	p.deadline = time.Now().Add(wait)
	_, high, err := p.from.Bounds()
	if err != nil {
		return err
	}
	if p.fetch.Offset == high && wait > 0 {
		p.await(high)
		return nil
	}
	p.ready()
	return nil
}

// ready lets the writer read: the reader never touches a disk, and there is
// memory for one answer at a time.
func (p *poll) ready() {
	most := p.conn.server.limits.FrameMax
	if p.fetch.Mode == codec.FetchRecords {
		most *= recordsCost
	}
	p.conn.answer(answer{make: p.read, size: p.request.size, most: most})
}

// await waits for the watermark to pass high, or the deadline. By the time
// Await returns the poll may have been woken, and even wait anew.
func (p *poll) await(high codec.Offset) {
	c := p.conn
	c.mu.Lock()
	p.round++
	round := p.round
	p.waiting, p.cancel = true, nil
	c.polls[p] = struct{}{}
	c.mu.Unlock()
	cancel := p.from.Await(high, max(0, time.Until(p.deadline)), p.wake)
	c.mu.Lock()
	waits := p.waiting && p.round == round
	if waits {
		p.cancel = cancel
	}
	ended := c.draining || c.dead
	c.mu.Unlock()
	if !waits || ended {
		cancel()
	}
	if waits && ended {
		p.wake()
	}
}

// wake ends the waiting, once.
func (p *poll) wake() {
	p.conn.mu.Lock()
	waiting := p.waiting
	p.waiting = false
	delete(p.conn.polls, p)
	p.conn.mu.Unlock()
	if waiting {
		p.ready()
	}
}

// endPolls answers all that wait with what is there.
func (c *conn) endPolls() {
	c.mu.Lock()
	all := make([]*poll, 0, len(c.polls))
	var cancels []func()
	for p := range c.polls {
		all = append(all, p)
		if p.cancel != nil {
			cancels = append(cancels, p.cancel)
		}
	}
	c.mu.Unlock()
	for _, cancel := range cancels {
		cancel()
	}
	for _, p := range all {
		p.wake()
	}
}

// read makes the answer, on the writer's goroutine; ok is false when there
// is too little and time to wait for more.
func (p *poll) read() (f codec.Frame, scratch []byte, ok bool) {
	refused := func(err error) (codec.Frame, []byte, bool) {
		return codec.EncodeError(nil, p.request.id, err), scratch, true
	}
	_, high, err := p.from.Bounds()
	if err != nil {
		return refused(err)
	}
	most := min(p.fetch.MaxBytes, p.conn.answerMax())
	scratch = takeBuffer(most)
	if p.fetch.Offset != high {
		if scratch, err = p.from.Read(scratch, p.fetch.Offset, most); err != nil {
			return refused(err)
		}
	}
	end := endOf(scratch, p.fetch.Offset)
	if end >= high && len(scratch) < min(max(1, p.fetch.MinBytes), most) && p.mayWait() {
		giveBuffer(scratch)
		p.await(end)
		return f, nil, false
	}
	a := codec.Fetched{Mode: p.fetch.Mode, Batches: scratch}
	if a.Start, a.HighWatermark, err = p.from.Bounds(); err != nil { // after Read: never below what was read
		return refused(err)
	}
	if p.fetch.Mode == codec.FetchRecords {
		if a.Records, err = decodeRecords(scratch, p.fetch.Offset, most, p.conn.server.limits.FrameMax); err != nil {
			return refused(err)
		}
	}
	f = codec.EncodeResponse(nil, p.request.id, &a)
	if err = p.conn.fits(f, hintBehind(&a)); err != nil {
		return refused(err)
	}
	return f, scratch, true
}

// hintBehind says where a reader goes on whose answer is too large: behind its
// first batch or record, for one that is too large comes alone.
func hintBehind(a *codec.Fetched) string {
	if len(a.Records) > 0 {
		return fmt.Sprintf(": go on at offset %d", a.Records[0].Offset+1)
	}
	if b, _, err := codec.NextBatch(a.Batches); err == nil && a.Mode == codec.FetchBatches {
		return fmt.Sprintf(": go on at offset %d", b.BaseOffset()+codec.Offset(b.Count()))
	}
	return ""
}

// endOf is the offset behind the last of batches, offset when there is none.
func endOf(batches []byte, offset codec.Offset) codec.Offset {
	for len(batches) > 0 {
		b, rest, err := codec.NextBatch(batches)
		if err != nil {
			return offset // the client will see
		}
		offset, batches = b.BaseOffset()+codec.Offset(b.Count()), rest
	}
	return offset
}

// mayWait says whether the answer can come later: the deadline is ahead and
// nobody is in a hurry.
func (p *poll) mayWait() bool {
	p.conn.mu.Lock()
	defer p.conn.mu.Unlock()
	return !p.conn.draining && !p.conn.dead && time.Now().Before(p.deadline)
}

func (c *conn) answerMax() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.frameMax - answerHead
}
